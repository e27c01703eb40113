// Package api knows the fields of request bodies: their names, JSON types, bounds, defaults, the routes that take them,
// and what to say where one is wrong. One table holds all of it (table.go); from it come decoding and validation, the
// answers to misspelt and unsupported names, the request schemas of openapi.json and the tables of docs/api.md.
//
// A body takes three steps: Parse splits its JSON, Decode (or DecodeDepth and then DecodeRest, for routes whose requests run
// through the loop) checks it against the table, and Values hands out what it says.
//
// The package knows neither HTTP's framework nor a scheduler: what a model allows comes in as Bounds, and the range of
// loops is the scheduler's to check.
package api

//go:generate go test . -run Table -update
