// Package invariant states what must always hold, at no cost in a release.
//
// Built with the tag "invariants" (make invariants) a broken [Check] panics and
// [Poison] overwrites bytes that nobody may read any more. Built without the
// tag both are empty functions that the compiler inlines to nothing, and On is
// the constant false, so a costlier check is written as
//
//	if invariant.On {
//		invariant.Check(q.recount() == q.len, "msg: queue length is off")
//	}
//
// and leaves no code behind. The messages are plain strings on purpose: a
// formatted one would allocate its arguments on the data path even in a build
// that checks nothing.
//
// This is the only package of the house that panics.
package invariant

// PoisonByte is what [Poison] writes: a value that is no protocol's first byte,
// no valid UTF-8 start, and easy to spot in a dump.
const PoisonByte = 0xDB
