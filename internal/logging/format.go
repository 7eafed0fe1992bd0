package logging

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"strconv"
	"time"
	"unicode/utf8"
)

const (
	// maxLine bounds a line, its newline included; the rest is cut off.
	// nutcracker's bound of 256 cuts off too much.
	maxLine = 4096
	cutMark = "...\n"

	timeLayout = "[2006-01-02 15:04:05.000] "
)

// appendPlace writes the source line as the last two elements of its path, as
// a file's name alone says little: proxy/server.go:120.
func appendPlace(dst []byte, pc uintptr) []byte {
	if pc == 0 {
		return append(dst, "-"...)
	}
	frame, _ := runtime.CallersFrames([]uintptr{pc}).Next()
	dir, file := filepath.Split(frame.File)
	dst = append(dst, filepath.Base(dir)...)
	dst = append(dst, '/')
	dst = append(dst, file...)
	dst = append(dst, ':')
	return strconv.AppendInt(dst, int64(frame.Line), 10)
}

// appendHead writes what stands before the attributes.
func appendHead(dst []byte, when time.Time, pc uintptr, msg string) []byte {
	dst = when.Local().AppendFormat(dst, timeLayout)
	dst = appendPlace(dst, pc)
	dst = append(dst, ' ')
	return appendEscaped(dst, msg, 0)
}

// finishLine ends the line, cut to maxLine.
func finishLine(line []byte) []byte {
	if len(line) < maxLine {
		return append(line, '\n')
	}
	line = line[:maxLine-len(cutMark)]
	// Not in the middle of a character. Escapes are text and may be cut.
	for i := 1; i < utf8.UTFMax && i <= len(line); i++ {
		if c := line[len(line)-i]; utf8.RuneStart(c) {
			if !utf8.FullRune(line[len(line)-i:]) {
				line = line[:len(line)-i]
			}
			break
		}
	}
	return append(line, cutMark...)
}

func appendAttrs(dst []byte, group string, attrs []slog.Attr) []byte {
	for _, a := range attrs {
		dst = appendAttr(dst, group, a)
	}
	return dst
}

// appendAttr writes " key=value", and for a group each of its attributes.
func appendAttr(dst []byte, group string, a slog.Attr) []byte {
	if len(dst) > maxLine {
		return dst
	}
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			group += a.Key + "."
		}
		return appendAttrs(dst, group, v.Group())
	}
	if a.Equal(slog.Attr{}) {
		return dst // as the contract of slog.Handler has it
	}
	dst = append(dst, ' ')
	dst = appendWord(dst, group+a.Key)
	dst = append(dst, '=')
	return appendValue(dst, v)
}

func appendValue(dst []byte, v slog.Value) []byte {
	switch v.Kind() {
	case slog.KindString:
		return appendWord(dst, v.String())
	case slog.KindInt64:
		return strconv.AppendInt(dst, v.Int64(), 10)
	case slog.KindUint64:
		return strconv.AppendUint(dst, v.Uint64(), 10)
	case slog.KindFloat64:
		return strconv.AppendFloat(dst, v.Float64(), 'g', -1, 64)
	case slog.KindBool:
		return strconv.AppendBool(dst, v.Bool())
	case slog.KindDuration:
		return append(dst, v.Duration().String()...)
	case slog.KindTime:
		return v.Time().AppendFormat(dst, time.RFC3339Nano)
	case slog.KindAny, slog.KindGroup, slog.KindLogValuer:
	}
	if b, ok := v.Any().([]byte); ok {
		return appendWord(dst, string(b[:min(len(b), maxLine)]))
	}
	return appendWord(dst, fmt.Sprint(v.Any()))
}

// appendWord writes s, in quotes if it could be confused with the text around
// it.
func appendWord(dst []byte, s string) []byte {
	if !needsQuotes(s) {
		return append(dst, s...)
	}
	dst = append(dst, '"')
	dst = appendEscaped(dst, s, '"')
	return append(dst, '"')
}

func needsQuotes(s string) bool {
	for i, r := range s {
		if i > maxLine {
			return true
		}
		if r == ' ' || r == '=' || r == '"' || r == '\\' || r == utf8.RuneError || !strconv.IsPrint(r) {
			return true
		}
	}
	return s == ""
}

// appendEscaped writes s with an escape for each byte or character that is not
// printable: control bytes, line separators, what is not UTF-8. Within quotes
// (quote is not 0) it escapes the quote and the backslash as well. It stops
// when the line is full, however long s is.
func appendEscaped(dst []byte, s string, quote byte) []byte {
	for i := 0; i < len(s) && len(dst) <= maxLine; {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			dst = fmt.Appendf(dst, `\x%02x`, s[i])
		case quote != 0 && (r == rune(quote) || r == '\\'):
			dst = append(dst, '\\', byte(r))
		case strconv.IsPrint(r):
			dst = append(dst, s[i:i+n]...)
		default:
			q := strconv.AppendQuoteRuneToASCII(nil, r)
			dst = append(dst, q[1:len(q)-1]...)
		}
		i += n
	}
	return dst
}
