package logging

import (
	"fmt"
	"log/slog"
	"math"
	"os"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// A form is how lines are written. Its methods append to what they are given.
type form uint8

const (
	textForm form = iota
	jsonForm
)

func (f form) head(dst []byte, level Level, when time.Time, pc uintptr, msg string) []byte {
	if f == jsonForm {
		return appendJSONHead(dst, level, when, pc, msg)
	}
	return appendHead(dst, when, pc, msg)
}

func (f form) attrs(dst []byte, group string, attrs []slog.Attr) []byte {
	if f == jsonForm {
		return appendJSONAttrs(dst, group, attrs)
	}
	return appendAttrs(dst, group, attrs)
}

func (f form) finish(line []byte) []byte {
	if f == jsonForm {
		return finishJSON(line)
	}
	return finishLine(line)
}

const (
	jsonTime = "2006-01-02T15:04:05.000Z07:00"
	// jsonEnd ends a line of which something was left out, and jsonRoom is what is
	// kept free for it.
	jsonEnd  = `,"cut":true}` + "\n"
	jsonRoom = len(jsonEnd)
	// maxJSONText bounds one text, in bytes as it is written.
	maxJSONText = maxLine / 2
)

// appendJSONHead opens the object.
func appendJSONHead(dst []byte, level Level, when time.Time, pc uintptr, msg string) []byte {
	dst = append(dst, `{"time":"`...)
	dst = when.AppendFormat(dst, jsonTime)
	dst = append(dst, `","level":"`...)
	if level == always {
		level = Notice
	}
	dst = append(dst, level.String()...)
	// In an upgrade two processes write to one file.
	dst = append(dst, `","pid":`...)
	dst = strconv.AppendInt(dst, int64(os.Getpid()), 10)
	dst = append(dst, `,"source":"`...)
	dst = appendPlace(dst, pc)
	dst = append(dst, `","msg":`...)
	return appendJSONText(dst, msg)
}

// appendJSONAttrs leaves out an attribute that has no room, and all behind it.
func appendJSONAttrs(dst []byte, group string, attrs []slog.Attr) []byte {
	for _, a := range attrs {
		v := a.Value.Resolve()
		if v.Kind() == slog.KindGroup {
			inner := group
			if a.Key != "" {
				inner += a.Key + "."
			}
			dst = appendJSONAttrs(dst, inner, v.Group())
			continue
		}
		if a.Equal(slog.Attr{}) || len(dst) > maxLine {
			continue
		}
		before := len(dst)
		dst = append(dst, ',')
		dst = appendJSONText(dst, group+a.Key)
		dst = append(dst, ':')
		dst = appendJSONValue(dst, v)
		if len(dst) > maxLine-jsonRoom {
			// finishJSON cuts the line here if it is longer than any whole line.
			return append(dst[:before], make([]byte, maxLine+1-before)...)
		}
	}
	return dst
}

// finishJSON closes the object.
func finishJSON(line []byte) []byte {
	if len(line) <= maxLine {
		return append(line, "}\n"...)
	}
	end := len(line)
	for end > 0 && line[end-1] == 0 { // no text has a NUL: it would be escaped
		end--
	}
	return append(line[:end], jsonEnd...)
}

func appendJSONValue(dst []byte, v slog.Value) []byte {
	switch v.Kind() {
	case slog.KindInt64:
		return strconv.AppendInt(dst, v.Int64(), 10)
	case slog.KindUint64:
		return strconv.AppendUint(dst, v.Uint64(), 10)
	case slog.KindFloat64:
		if f := v.Float64(); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return strconv.AppendFloat(dst, f, 'g', -1, 64)
		}
	case slog.KindBool:
		return strconv.AppendBool(dst, v.Bool())
	case slog.KindTime:
		return append(v.Time().AppendFormat(append(dst, '"'), time.RFC3339Nano), '"')
	case slog.KindString, slog.KindDuration, slog.KindAny, slog.KindGroup, slog.KindLogValuer:
	}
	if b, ok := v.Any().([]byte); ok && v.Kind() == slog.KindAny {
		return appendJSONText(dst, string(b[:min(len(b), maxLine)]))
	}
	if v.Kind() == slog.KindAny {
		return appendJSONText(dst, fmt.Sprint(v.Any()))
	}
	return appendJSONText(dst, v.String())
}

// appendJSONText writes s in quotes, with an escape for each character that is not
// printable, and U+FFFD for bytes that are none. It stops at maxJSONText.
func appendJSONText(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for end, i := len(dst)+maxJSONText, 0; i < len(s); {
		if len(dst) > end {
			dst = append(dst, "..."...)
			break
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == utf8.RuneError || strconv.IsPrint(r):
			dst = utf8.AppendRune(dst, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			dst = fmt.Appendf(dst, `\u%04x\u%04x`, high, low)
		default:
			dst = fmt.Appendf(dst, `\u%04x`, r)
		}
		i += n
	}
	return append(dst, '"')
}
