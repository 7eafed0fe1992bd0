// Package logging writes nutcracker's kind of log: levels 0 to 11, one line per
// event, reopened on a signal. Attributes are slog.Attr, and Slog gives a
// log/slog logger.
//
//	[2026-11-23 03:00:00.123] proxy/server.go:120 message key=value key="a value"
//	{"time":"2026-11-23T03:00:00.123Z","level":"warn","source":"proxy/server.go:120","msg":"message","key":"value"}
//
// The caller formats its line and puts it into a bounded queue; one goroutine
// takes lines out and writes them, many at a time. A caller never waits for the
// disk: when the queue is full its line is dropped, and the next line that gets
// through is followed by one that says how many were lost. Of one kind of line
// 20 are written in a second; a line says how many more there were.
//
//	event loops ─┐
//	goroutines  ─┼─▶ queue (Options.QueueLines) ─▶ writer ─▶ file or stderr
//	slog        ─┘         full: dropped, counted
//
// Bytes that are not printable are escaped wherever they come from, so that no
// key, name or error text can forge a line or reach a terminal.
package logging

import (
	"io"
	"log/slog"
	"runtime"
	"slices"
	"strconv"
	"time"
)

// Options says what a logger writes, and where. The zero value writes levels
// up to Emerg to standard error; the command starts from Default.
type Options struct {
	// Path is the file to append to. It is made with mode 0644 (less the
	// umask) if there is none. Empty means Writer. A relative path is resolved
	// once, so that Reopen finds it after a change of directory.
	Path string
	// Level is where the logger starts; out of range it is moved to the nearer end.
	Level Level
	// JSON writes each line as an object, in place of nutcracker's form.
	JSON bool
	// QueueLines is how many lines may wait to be written; 0 means 8192. A line
	// is at most 4096 bytes long.
	QueueLines int
	// Writer takes the lines if there is no Path; nil means standard error. Only
	// one goroutine calls it. It is not closed.
	Writer io.Writer
}

// Logger writes lines of up to a level. All methods may be called from any
// goroutine, and on a nil *Logger, which writes nothing.
type Logger struct {
	core *core
	// attrs is what With added, already formatted: " key=value key=value".
	attrs []byte
}

// New makes a logger and starts its writer. It fails if the file cannot be
// opened. The logger must be closed, or lines may be lost at the end.
func New(opts Options) (*Logger, error) {
	c, err := newCore(opts)
	if err != nil {
		return nil, err
	}
	return &Logger{core: c}, nil
}

// always is the level of lines that are written whatever the level is.
const always = Notice - 100

// Discard gives a logger that writes nothing: the nil one.
func Discard() *Logger {
	return nil
}

// Enabled reports whether lines of the level are written. It costs one atomic
// load: call it before making attributes that cost more.
func (l *Logger) Enabled(level Level) bool {
	return l != nil && int32(level) <= l.core.level.Load()
}

// Log writes a line if its level is enabled. It does not keep the attributes
// or what they refer to; a []byte value is written as text.
func (l *Logger) Log(level Level, msg string, attrs ...slog.Attr) {
	if l.Enabled(level) {
		l.emit(level, msg, attrs)
	}
}

// Always writes a line whatever the level is: what an operator must find in
// every log, such as the start and the end of the process.
func (l *Logger) Always(msg string, attrs ...slog.Attr) {
	if l != nil {
		l.emit(always, msg, attrs)
	}
}

// Error writes a line about something that failed. As in nutcracker it is
// written from level Alert on, not only from Err on.
func (l *Logger) Error(msg string, attrs ...slog.Attr) {
	if l.Enabled(Alert) {
		l.emit(Alert, msg, attrs)
	}
}

// Warn writes a line at level Warn.
func (l *Logger) Warn(msg string, attrs ...slog.Attr) {
	if l.Enabled(Warn) {
		l.emit(Warn, msg, attrs)
	}
}

// Notice writes a line at level Notice, which is the default level.
func (l *Logger) Notice(msg string, attrs ...slog.Attr) {
	if l.Enabled(Notice) {
		l.emit(Notice, msg, attrs)
	}
}

// Info writes a line at level Info.
func (l *Logger) Info(msg string, attrs ...slog.Attr) {
	if l.Enabled(Info) {
		l.emit(Info, msg, attrs)
	}
}

// Debug writes a line at level Debug.
func (l *Logger) Debug(msg string, attrs ...slog.Attr) {
	if l.Enabled(Debug) {
		l.emit(Debug, msg, attrs)
	}
}

// Verbose writes a line at level Verb.
func (l *Logger) Verbose(msg string, attrs ...slog.Attr) {
	if l.Enabled(Verb) {
		l.emit(Verb, msg, attrs)
	}
}

// With gives a logger that adds the attributes to each of its lines. It shares
// level, queue and file with l; closing one closes both.
func (l *Logger) With(attrs ...slog.Attr) *Logger {
	if l == nil || len(attrs) == 0 {
		return l
	}
	return &Logger{core: l.core, attrs: l.core.format.attrs(slices.Clone(l.attrs), "", attrs)}
}

// Slog gives a log/slog logger that writes to the same place; FromSlog says at
// which levels.
func (l *Logger) Slog() *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(&handler{logger: l})
}

// Level gives the present level; that of the nil logger is below Min.
func (l *Logger) Level() Level {
	if l == nil {
		return Min - 1
	}
	return Level(l.core.level.Load())
}

// SetLevel changes the level, moved into the range if need be, and writes a
// line that says so.
func (l *Logger) SetLevel(level Level) {
	if l == nil {
		return
	}
	level = level.clamp()
	l.core.level.Store(int32(level))
	l.Always("set log level to " + strconv.Itoa(int(level)))
}

// LevelUp raises the level by one and writes a line that says so, unless it is
// at Max already. It returns the level.
func (l *Logger) LevelUp() Level {
	return l.step(1, "up log level to ")
}

// LevelDown lowers the level by one and writes a line that says so, unless it
// is at Min already. It returns the level.
func (l *Logger) LevelDown() Level {
	return l.step(-1, "down log level to ")
}

func (l *Logger) step(by Level, text string) Level {
	for l != nil {
		old := l.Level()
		level := (old + by).clamp()
		if level == old {
			return level
		}
		if l.core.level.CompareAndSwap(int32(old), int32(level)) {
			l.Always(text + strconv.Itoa(int(level)))
			return level
		}
	}
	return l.Level()
}

// Dropped gives the number of lines that were lost because the queue was full.
func (l *Logger) Dropped() uint64 {
	if l == nil {
		return 0
	}
	return l.core.droppedTotal.Load()
}

// WriteErrors gives the number of writes that failed. What they should have
// written is lost.
func (l *Logger) WriteErrors() uint64 {
	if l == nil {
		return 0
	}
	return l.core.writeErrors.Load()
}

// Flush waits until all lines that were queued before it have been written. It
// fails with ErrBusy if that takes more than five seconds, and with ErrClosed
// after Close.
func (l *Logger) Flush() error {
	if l == nil {
		return nil
	}
	return l.core.control(func(*sink) bool { return true })
}

// Reopen opens the log file anew: lines queued before it are in the old file,
// lines after it in the new one. If the file cannot be opened, the old one
// stays in use and a line says so (nutcracker stops logging). Without a file it
// does nothing. Other errors are those of Flush.
func (l *Logger) Reopen() error {
	if l == nil || l.core.path == "" {
		return nil
	}
	err := l.core.reopen()
	if err != nil {
		l.Error("reopening the log file failed", slog.Any("error", err))
	}
	return err
}

// Close writes what is queued, closes the file and ends the writer; lines that
// come later are dropped. A second Close does nothing. Errors are those of Flush.
func (l *Logger) Close() error {
	if l == nil {
		return nil
	}
	return l.core.close()
}

// emit formats a line and queues it. It must be called by exported methods
// directly, as it reports their caller's place.
func (l *Logger) emit(level Level, msg string, attrs []slog.Attr) {
	var pc [1]uintptr
	runtime.Callers(3, pc[:]) // runtime.Callers, emit, the method
	now := time.Now()
	if level != always && !l.core.limiter.admits(level, now, pc[0], msg, attrs) {
		return
	}
	line := l.core.newLine(level, now, pc[0], msg)
	*line = append(*line, l.attrs...)
	*line = l.core.format.attrs(*line, "", attrs)
	l.core.enqueue(line)
}
