// Package app puts a process together: bundles found and opened, one engine and one controller for each, the HTTP
// server over them. It is the only place beside cmd/loopserve that knows every layer, and it decides nothing.
package app
