// Package event is the channel by which use cases tell what they are doing.
//
// It owns the Sink interface and nothing else: every use case defines its own
// event structs next to the code that emits them (backup.Started,
// validate.FileCorrupt, ...), and only internal/cli knows how an event reads
// on the console, in the log file, as JSON or as a progress bar. Events carry
// values, never text meant for people.
package event

// Event is a typed fact emitted by a use case. Any struct may be one.
type Event any

// Sink receives events. Implementations must be safe for concurrent use and
// must return quickly: they are called from copy workers.
type Sink interface {
	Emit(Event)
}

// Func adapts a function to Sink.
type Func func(Event)

// Emit calls f.
func (f Func) Emit(e Event) { f(e) }

// Discard drops every event.
var Discard Sink = Func(func(Event) {})
