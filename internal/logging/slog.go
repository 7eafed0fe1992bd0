package logging

import (
	"context"
	"log/slog"
	"slices"
	"time"
)

// handler is the slog.Handler over a Logger. It is immutable.
type handler struct {
	logger *Logger
	// group is the open group's name with its dot, or empty.
	group string
}

// Enabled implements slog.Handler.
func (h *handler) Enabled(_ context.Context, level slog.Level) bool {
	return h.logger.Enabled(FromSlog(level))
}

// Handle implements slog.Handler. It never fails: a line may be dropped.
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	c := h.logger.core
	when := r.Time
	if when.IsZero() {
		when = time.Now()
	}
	level := FromSlog(r.Level)
	if !c.limiter.admits(level, when, r.PC, r.Message, nil) {
		return nil
	}
	line := c.newLine(level, when, r.PC, r.Message)
	*line = append(*line, h.logger.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		*line = c.format.attrs(*line, h.group, []slog.Attr{a})
		return true
	})
	c.enqueue(line)
	return nil
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	l := &Logger{core: h.logger.core, attrs: h.logger.core.format.attrs(slices.Clone(h.logger.attrs), h.group, attrs)}
	return &handler{logger: l, group: h.group}
}

// WithGroup implements slog.Handler: keys get the group's name and a dot in front.
func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &handler{logger: h.logger, group: h.group + name + "."}
}
