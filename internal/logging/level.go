package logging

import (
	"log/slog"
	"strconv"
)

// Level is nutcracker's log level, from 0, the most serious, to 11, the most
// verbose. A logger set to a level writes the lines of that level and of all
// below it.
type Level int

// The levels, with nutcracker's numbers.
const (
	Emerg  Level = iota // the process cannot go on
	Alert               // something failed: the level of Error
	Crit                // critical conditions
	Err                 // error conditions
	Warn                // something failed, and was put up with
	Notice              // normal, but worth a line
	Info                // the life of every connection
	Debug               // what the proxy decides
	Verb                // every message
	VVerb               // every step of a message
	VVVerb              // every event
	PVerb               // what happens periodically
)

const (
	// Default is the level without -v.
	Default = Notice
	// Min is the lowest level there is.
	Min = Emerg
	// Max is the highest level there is.
	Max = PVerb
)

var levelNames = [...]string{
	Emerg: "emerg", Alert: "alert", Crit: "crit", Err: "err", Warn: "warn", Notice: "notice",
	Info: "info", Debug: "debug", Verb: "verb", VVerb: "vverb", VVVerb: "vvverb", PVerb: "pverb",
}

// String gives the level's name in lower case; a level out of range gives its number.
func (l Level) String() string {
	if l != l.clamp() {
		return strconv.Itoa(int(l))
	}
	return levelNames[l]
}

// clamp moves a level that is out of range to the nearer end.
func (l Level) clamp() Level {
	return min(max(l, Min), Max)
}

// FromSlog gives the level at which a line of log/slog is written: Error and
// Warn at the levels of Logger.Error and Logger.Warn, slog.LevelInfo at Info,
// the values between Info and Warn at Notice, slog.LevelDebug at Debug, and
// what is below at Verb. Four above Error is Emerg.
func FromSlog(level slog.Level) Level {
	switch {
	case level >= slog.LevelError+4:
		return Emerg
	case level >= slog.LevelError:
		return Alert
	case level >= slog.LevelWarn:
		return Warn
	case level > slog.LevelInfo:
		return Notice
	case level == slog.LevelInfo:
		return Info
	case level >= slog.LevelDebug:
		return Debug
	}
	return Verb
}
