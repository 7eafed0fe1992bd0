// Package units writes numbers as operators read them, in what needs a look and in nuthatch ctl.
package units

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// PerSecond writes a rate; one above 0 and below 0.1 is 0.1.
func PerSecond(v float64) string {
	if v == 0 || v >= 10 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.1f", max(v, 0.1))
}

// Seconds writes a short time, in seconds, with three digits; "-" if it is NaN.
func Seconds[S ~float64](t S) string {
	s := float64(t)
	switch {
	case math.IsNaN(s):
		return "-"
	case s == 0:
		return "0"
	case s < 1e-3:
		return fmt.Sprintf("%.3gµs", s*1e6)
	case s < 1:
		return fmt.Sprintf("%.3gms", s*1e3)
	}
	return fmt.Sprintf("%.3gs", s)
}

// Age writes a long time with its two largest units.
func Age(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	switch day := 24 * time.Hour; {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < day:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	default:
		return fmt.Sprintf("%dd%02dh", d/day, d%day/time.Hour)
	}
}

// Lasting writes a time, in seconds, that may be short or long.
func Lasting(s float64) string {
	if s < 10 {
		return Seconds(s)
	}
	return Age(time.Duration(s * float64(time.Second)))
}

// Window writes how long a window of rates is, in seconds: in whole ones.
func Window(s float64) string {
	if s < 1 {
		return Seconds(s)
	}
	return Age(time.Duration(s * float64(time.Second)))
}

// Size writes a number of bytes.
func Size(n int64) string {
	switch {
	case n < 10<<10:
		return fmt.Sprintf("%d B", n)
	case n < 10<<20:
		return fmt.Sprintf("%d KB", n>>10)
	case n < 10<<30:
		return fmt.Sprintf("%d MB", n>>20)
	}
	return fmt.Sprintf("%d GB", n>>30)
}

// Count writes a number of things; noun is what one of them is called.
func Count[N ~int | ~int64 | ~uint64 | ~uint32](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if stem, ok := strings.CutSuffix(noun, "y"); ok {
		return fmt.Sprintf("%d %sies", n, stem)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Plural is the one of two words that goes with a number of things, such as "has" and "have".
func Plural[N ~int | ~int64 | ~uint64 | ~uint32](n N, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
