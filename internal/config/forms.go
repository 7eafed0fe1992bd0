package config

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// How others write times, sizes and numbers, so that a fault can name the right form.

// amount is a number with what follows it, up to the next number.
var amount = regexp.MustCompile(`([0-9]+(?:[.,][0-9]+)?)([^0-9.,]*)`)

// A unit is one of ours, and the words that others have for so many of it.
type unit struct {
	name  string
	many  float64
	words []string
}

var timeUnits = []unit{
	{"us", 1, []string{"us", "µs", "usec", "usecs", "microsecond", "microseconds"}},
	{"ms", 1, []string{"ms", "msec", "msecs", "millis", "milli", "millisecond", "milliseconds"}},
	{"s", 1, []string{"s", "sec", "secs", "second", "seconds"}},
	{"m", 1, []string{"m", "min", "mins", "minute", "minutes"}},
	{"h", 1, []string{"h", "hr", "hrs", "hour", "hours"}},
	{"h", 24, []string{"d", "day", "days"}},
	{"h", 7 * 24, []string{"w", "week", "weeks"}},
}

var sizeWords = []unit{
	{"b", 1, []string{"b", "byte", "bytes"}},
	{"b", kb, []string{"k", "ki", "kb", "kib", "kbyte", "kbytes", "kilobyte", "kilobytes"}},
	{"b", mb, []string{"m", "mi", "mb", "mib", "mbyte", "mbytes", "megabyte", "megabytes"}},
	{"b", gb, []string{"g", "gi", "gb", "gib", "gbyte", "gbytes", "gigabyte", "gigabytes"}},
	{"b", tb, []string{"t", "ti", "tb", "tib", "tbyte", "tbytes", "terabyte", "terabytes"}},
}

// amounts takes a text such as "1 h, 30 min" apart; nil if it is something else.
func amounts(text string, units []unit) (numbers []float64, of []unit) {
	text = strings.NewReplacer(" ", "", "_", "").Replace(strings.ToLower(text))
	parts := amount.FindAllStringSubmatch(text, -1)
	if whole := amount.ReplaceAllString(text, ""); whole != "" {
		return nil, nil
	}
	for _, p := range parts {
		n, err := strconv.ParseFloat(strings.Replace(p[1], ",", ".", 1), 64)
		i := slices.IndexFunc(units, func(u unit) bool { return slices.Contains(u.words, p[2]) })
		if err != nil || i < 0 {
			return nil, nil
		}
		numbers, of = append(numbers, n), append(of, units[i])
	}
	return numbers, of
}

// durationForm is how we write a time that is written as others do; empty if it is none.
func durationForm(text string) string {
	numbers, of := amounts(text, timeUnits)
	var b strings.Builder
	for i, n := range numbers {
		b.WriteString(strconv.FormatFloat(n*of[i].many, 'f', -1, 64) + of[i].name)
	}
	if _, err := time.ParseDuration(b.String()); err != nil || b.String() == text {
		return ""
	}
	return b.String()
}

// sizeForm is durationForm for a size.
func sizeForm(text string) string {
	if n := groupedNumber(text); n != "" {
		return n
	}
	numbers, of := amounts(text, sizeWords)
	if len(numbers) != 1 {
		return ""
	}
	bytes := numbers[0] * of[0].many
	if bytes != float64(int64(bytes)) || bytes > 1<<53 {
		return ""
	}
	if form := formatSize(int64(bytes)); !strings.EqualFold(form, text) {
		return form
	}
	return ""
}

// grouped is a number whose digits stand in groups of three.
var grouped = regexp.MustCompile(`^[0-9]{1,3}([,_' ][0-9]{3})+$`)

func groupedNumber(text string) string {
	if !grouped.MatchString(text) {
		return ""
	}
	return strings.NewReplacer(",", "", "_", "", "'", "", " ", "").Replace(text)
}

// thousands are what stands behind a number of thousands or millions.
var thousands = map[string]float64{"": 1, "k": 1e3, "m": 1e6, "g": 1e9}

// numberForm is durationForm for a whole number.
func numberForm(text string) string {
	if n := groupedNumber(text); n != "" {
		return n
	}
	if n, err := strconv.ParseInt(text, 0, 64); err == nil {
		return strconv.FormatInt(n, 10)
	}
	lowered := strings.ToLower(text)
	digits := strings.TrimRight(lowered, "kmg")
	many, known := thousands[lowered[len(digits):]]
	n, err := strconv.ParseFloat(digits, 64)
	if n *= many; err != nil || !known || n != float64(int64(n)) {
		return ""
	}
	return strconv.FormatInt(int64(n), 10)
}

// write ends a message about text with the form that it should have; empty if that is no
// valid value, or none is known.
func write(form, text string, parse func(limits, string) (value, error), r limits) string {
	if form == "" || form == text {
		return ""
	}
	if _, err := parse(r, form); err != nil {
		return ""
	}
	return "; write " + form
}

// withoutLimit are words that somebody writes who wants no limit.
var withoutLimit = []string{"unlimited", "infinite", "infinity", "inf", "never", "none", "no", "off", "false", "disabled", "null", "~", "-1"}

// noLimit is an error of the key's value that says how to write that there is no limit, if
// that is what is meant.
func (k *key[T]) noLimit(text string, err error) error {
	if k.def != "0" || k.defNote != "no limit" && k.defNote != "none" || !slices.Contains(withoutLimit, strings.ToLower(text)) {
		return err
	}
	return errors.New(err.Error() + "; write 0 (" + k.defNote + ")")
}
