package config

import (
	"errors"
	"math"
	"strings"
	"time"
)

var kindDuration = kind{form: "duration", parse: parseDuration, span: durationSpan, schema: durationSchema}

// durations is a range of durations, as limits.
func durations(least, most time.Duration) limits { return limits{int64(least), int64(most)} }

var anyDuration = durations(0, 24*time.Hour)

func (v value) duration() time.Duration { return time.Duration(v.number) }

// parseDuration reads Go's form of a duration: 200ms, 5s, 1m30s.
func parseDuration(r limits, text string) (value, error) {
	d, err := time.ParseDuration(text)
	if err != nil || int64(d) < r.min || int64(d) > r.max {
		hint := ""
		if n, plain := parseDigits(text); plain && n > 0 {
			hint = "; a time needs a unit: " + text + "ms or " + text + "s"
		} else if err != nil && !plain {
			hint = write(durationForm(text), text, parseDuration, r)
		}
		return value{}, errors.New("expected a duration from " + durationSpan(r) + ", such as 200ms or 5s, found " + quote(text) + hint)
	}
	return value{number: int64(d)}, nil
}

func durationSpan(r limits) string {
	return formatDuration(time.Duration(r.min)) + " to " + formatDuration(time.Duration(r.max))
}

// formatDuration leaves out the units that are zero.
func formatDuration(d time.Duration) string {
	if d == 0 {
		return "0"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// parseMillis reads a duration, or nutcracker's form of it: milliseconds without a unit.
func parseMillis(r limits, text string) (value, error) {
	n, plain := parseDigits(text)
	if !plain {
		d, err := time.ParseDuration(text)
		if err != nil || d%time.Millisecond != 0 {
			n = -1
		} else {
			n = d.Milliseconds()
		}
	}
	if n < r.min || n > r.max {
		return value{}, errors.New("expected a duration such as 400ms, or milliseconds without a unit, " + millisSpan(r) +
			", found " + quote(text) + write(durationForm(text), text, parseMillis, r))
	}
	return value{number: n}, nil
}

// millisSpan describes limits in milliseconds. nutcracker uses the largest int of C for no
// limit.
func millisSpan(r limits) string {
	least := formatDuration(time.Duration(r.min) * time.Millisecond)
	if r.max == math.MaxInt32 {
		return least + " or more"
	}
	return least + " to " + formatDuration(time.Duration(r.max)*time.Millisecond)
}
