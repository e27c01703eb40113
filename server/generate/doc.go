// Package generate turns a request into sequences of the engine and their events into an answer: a Plan is what was asked
// for, Sequences are what runs, a Delta is what one event adds to a choice, an Answer is what a route makes of the deltas,
// and Usage is what they used. Completions, chats and embeddings share it.
//
// The way of a request's loops: ReadPlan puts them into the loopctl.Request of the plan → Start gives the engine a copy for
// each sequence → an event says how many a token took → Delta.Loops → Usage.Add.
//
// It knows neither HTTP nor messages: a chat gives it ids and a Parser for the answer's text. Each choice has one goroutine,
// which Sequences.Close ends and joins.
package generate
