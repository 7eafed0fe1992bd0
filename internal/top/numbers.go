package top

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// unknown is an unknown number; it is shown as a dash, and sorted last.
var unknown = math.NaN()

const dash = "–"

// scaled writes v with three digits in the unit that keeps it short.
func scaled(v, base float64, units []string) string {
	i := 0
	for i < len(units)-1 && v >= base*0.9995 {
		v /= base
		i++
	}
	switch {
	case i == 0 || v >= 100:
		return fmt.Sprintf("%.0f%s", v, units[i])
	case v >= 10:
		return fmt.Sprintf("%.1f%s", v, units[i])
	}
	return fmt.Sprintf("%.2f%s", v, units[i])
}

// count is a number of things: 950, 1.24k, 31.0M.
func count(v float64) string {
	if math.IsNaN(v) {
		return dash
	}
	return scaled(v, 1000, []string{"", "k", "M", "G", "T"})
}

// rate is a number of things per second; below ten it keeps a fraction.
func rate(v float64) string {
	switch {
	case math.IsNaN(v):
		return dash
	case v > 0 && v < 0.1:
		return "<0.1"
	case v > 0 && v < 9.95:
		return fmt.Sprintf("%.1f", v)
	}
	return count(v)
}

// size is a number of bytes, in binary units.
func size(v float64) string {
	if math.IsNaN(v) {
		return dash
	}
	return scaled(v, 1024, []string{"B", "KB", "MB", "GB", "TB"})
}

// delay is a time in seconds, as long as latencies are.
func delay(v float64) string {
	switch {
	case math.IsNaN(v):
		return dash
	case v == 0:
		return "0"
	}
	return scaled(v*1e6, 1000, []string{"µs", "ms", "s"})
}

// span is a time in its two greatest units.
func span(d time.Duration) string {
	s := max(int64(d/time.Second), 0)
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%dd%02dh", s/86400, s/3600%24)
}

func percent(share float64) string {
	if math.IsNaN(share) {
		return dash
	}
	return strconv.Itoa(int(share*100+0.5)) + "%"
}

// plain drops what would move the terminal's cursor, or hide, from a name.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}
