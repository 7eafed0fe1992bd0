package logging

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

var (
	// ErrClosed is what Flush and Reopen give after Close.
	ErrClosed = errors.New("logging: closed")
	// ErrBusy says that the queued lines could not be written within five seconds.
	// They stay queued; a Reopen is given up.
	ErrBusy = errors.New("logging: the output does not take lines")
)

const (
	defaultQueue = 8192
	// batchBytes is how much one write carries at most, give or take a line.
	batchBytes = 64 << 10
	// patience is how long a caller of Flush, Reopen or Close waits.
	patience = 5 * time.Second
)

// entry is what the queue carries: a line, or something for the writer to do
// when all lines before it have been written.
type entry struct {
	line *[]byte
	do   func(*sink) bool // whether the writer is to go on
	done chan struct{}    // closed after do
}

// sink is what the writer writes to. Only the writer touches it.
type sink struct {
	w    io.Writer
	file *os.File // w if that is ours to close, else nil
}

// core is shared by a logger and all loggers that With made from it.
type core struct {
	// Fixed after construction.
	path     string // absolute; empty without a file
	queue    chan entry
	stopped  chan struct{} // closed when the writer has ended
	patience time.Duration
	format   form
	limiter  *limiter

	level        atomic.Int32
	closed       atomic.Bool
	dropped      atomic.Uint64 // not yet reported
	droppedTotal atomic.Uint64
	writeErrors  atomic.Uint64

	// lines holds the buffers that no line is in.
	lines sync.Pool
}

func newCore(opts Options) (*core, error) {
	lines := opts.QueueLines
	if lines <= 0 {
		lines = defaultQueue
	}
	c := &core{queue: make(chan entry, lines), stopped: make(chan struct{}), patience: patience, format: textForm, limiter: newLimiter()}
	if opts.JSON {
		c.format = jsonForm
	}
	c.level.Store(int32(opts.Level.clamp()))
	out := &sink{w: opts.Writer}
	if opts.Path != "" {
		path, err := filepath.Abs(opts.Path)
		if err != nil {
			return nil, fmt.Errorf("log file: %w", err)
		}
		c.path = path
		out.file, err = c.open()
		if err != nil {
			return nil, err
		}
		out.w = out.file
	} else if out.w == nil {
		out.w = os.Stderr
	}
	go c.write(out)
	return c, nil
}

func (c *core) open() (*os.File, error) {
	// 0644 as nutcracker's, for those who read logs without being root.
	f, err := os.OpenFile(c.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("log file: %w", err)
	}
	return f, nil
}

// newLine gives a buffer with the part of a line before the attributes. enqueue
// takes it back.
func (c *core) newLine(level Level, when time.Time, pc uintptr, msg string) *[]byte {
	line, ok := c.lines.Get().(*[]byte)
	if !ok {
		line = new([]byte)
	}
	*line = c.format.head((*line)[:0], level, when, pc, msg)
	return line
}

// enqueue hands the line to the writer, or drops it. It does not wait.
func (c *core) enqueue(line *[]byte) {
	*line = c.format.finish(*line)
	if !c.closed.Load() {
		select {
		case c.queue <- entry{line: line}:
			return
		default:
		}
	}
	c.dropped.Add(1)
	c.droppedTotal.Add(1)
	c.release(line)
}

func (c *core) release(line *[]byte) {
	if cap(*line) <= 2*maxLine {
		c.lines.Put(line)
	}
}

// control lets the writer do something between two lines and waits until it
// has, for as long as c.patience. With ErrBusy, do may still run later.
func (c *core) control(do func(*sink) bool) error {
	if c.closed.Load() {
		return ErrClosed
	}
	return c.order(do)
}

func (c *core) order(do func(*sink) bool) error {
	e := entry{do: do, done: make(chan struct{})}
	timer := time.NewTimer(c.patience)
	defer timer.Stop()
	select {
	case c.queue <- e:
	case <-c.stopped:
		return ErrClosed
	case <-timer.C:
		return ErrBusy
	}
	select {
	case <-e.done:
		return nil
	case <-timer.C:
		return ErrBusy
	case <-c.stopped:
	}
	select {
	case <-e.done: // it was what stopped the writer, or came just before
		return nil
	default:
		return ErrClosed
	}
}

func (c *core) reopen() error {
	if c.closed.Load() {
		return ErrClosed
	}
	f, err := c.open()
	if err != nil {
		return err
	}
	// Whoever sets the flag first owns f: the writer, or control after it has
	// given up.
	var taken atomic.Bool
	err = c.control(func(out *sink) bool {
		if !taken.CompareAndSwap(false, true) {
			return true
		}
		_ = out.file.Close() // every write to it has been checked
		out.w, out.file = f, f
		return true
	})
	if err != nil && taken.CompareAndSwap(false, true) {
		_ = f.Close()
	}
	return err
}

func (c *core) close() error {
	if c.closed.Swap(true) {
		return nil
	}
	return c.order(func(out *sink) bool {
		if out.file != nil {
			_ = out.file.Close() // every write to it has been checked
		}
		return false
	})
}

// write is the writer: it takes what is queued, as much as one write carries.
func (c *core) write(out *sink) {
	defer close(c.stopped)
	batch := make([]byte, 0, batchBytes+maxLine)
	var due <-chan time.Time // when to tell what the limiter left out
	for {
		batch = batch[:0]
		var e entry
		select {
		case e = <-c.queue:
		case <-c.limiter.excess:
			if due == nil {
				due = time.After(time.Second)
			}
			continue
		case <-due:
			due = nil
			batch = c.appendLost(batch)
		}
		for e.line != nil {
			batch = append(batch, *e.line...)
			c.release(e.line)
			e = entry{}
			if len(batch) < batchBytes {
				select {
				case e = <-c.queue:
				default:
				}
			}
		}
		if e.do != nil {
			batch = c.appendLost(batch)
		}
		c.put(out, c.appendDropped(batch))
		if e.do != nil {
			goOn := e.do(out)
			close(e.done)
			if !goOn {
				return
			}
		}
	}
}

// appendDropped adds a line about the lines that were lost since the last one.
func (c *core) appendDropped(batch []byte) []byte {
	n := c.dropped.Swap(0)
	if n == 0 {
		return batch
	}
	line := c.format.head(nil, Warn, time.Now(), 0, "log lines dropped: the queue was full")
	line = c.format.attrs(line, "", []slog.Attr{slog.Uint64("dropped", n)})
	return append(batch, c.format.finish(line)...)
}

func (c *core) put(out *sink, batch []byte) {
	if len(batch) == 0 {
		return
	}
	if _, err := out.w.Write(batch); err != nil {
		c.writeErrors.Add(1)
	}
}
