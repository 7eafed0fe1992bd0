package admin

import (
	"cmp"
	"errors"
	"io"
	"maps"
	"slices"
	"time"

	"nuthatch/internal/history"
	"nuthatch/internal/latency"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// How windows go through an upgrade. The old program hands over what was counted from each
// record to the next one, and to now. The new program, which counts from 0, makes records of it
// whose counts are below 0:
//
//	counted         5       7       2
//	records     ●───────●───────●───────┤ the new program ●───────●
//	counts     -14     -9      -2         0               3       8

// HandOver writes the history, what was counted since each record, the events, and which servers
// are not up, for TakeOver.
func (r *Recorder) HandOver(w io.Writer) error {
	_, limit := r.Memory()
	return r.History.HandOver(w, history.Beside{
		Spans: r.spans(), Events: handedEvents(r.in.Events(), limit/eventsPart), Failing: handedFailing(r.in),
	})
}

// TakeOver takes what HandOver of the program before has written. It returns how many rounds of
// the history it took. names are those that this process has for error replies.
func (r *Recorder) TakeOver(from io.Reader, names *stats.ErrorNames) (int, error) {
	rounds, with, err := r.History.Merge(from)
	if err != nil {
		return rounds, err
	}
	r.in.Events().Precede(eventsBefore(with.Events))
	failedBefore(r.in, with.Failing)
	records, err := recordsOf(with.Spans, names)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.handed = records
	return rounds, err
}

// putHanded puts records of the program before in the place of those that this one has made
// meanwhile, when one of a second is due.
func (r *Recorder) putHanded(second time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	records := slices.DeleteFunc(r.handed, func(one *record) bool { return !one.second.Before(second) })
	r.handed = nil
	if len(records) == 0 {
		return
	}
	last := records[len(records)-1].second
	for _, own := range r.records {
		if own.second.After(last) {
			records = append(records, own)
		}
	}
	r.records = records
	r.still[ofRecord] = nil // the record of the last counts may be gone
}

// numbers are the counts that are handed over. New ones come last.
func (c *counts) numbers() []*int64 {
	return []*int64{
		&c.requests, &c.failed, &c.requestBytes, &c.responseBytes, &c.refusals, &c.invalid, &c.failedLogins, &c.strangers,
	}
}

// spans are what was counted from each record to the next one, and from the last one to now.
func (r *Recorder) spans() []history.Span {
	_, limit := r.Memory()
	end, snap, _ := r.copied()
	if limit == 0 || end == nil {
		return nil
	}
	r.mu.Lock()
	records := append(slices.Clip(r.records), end)
	r.mu.Unlock()
	spans := make([]history.Span, len(records)-1)
	for i := range spans {
		spans[i] = spanOf(records[i], records[i+1], snap.ErrorNames)
	}
	return spans
}

func spanOf(since, until *record, names []string) history.Span {
	span := history.Span{At: since.at.UnixNano(), Second: since.second.UnixNano()}
	for i, now := range until.cpu {
		if i < len(since.cpu) {
			now -= since.cpu[i]
		}
		span.CPU = append(span.CPU, max(now, 0))
	}
	both := make(map[serverKey]counts) // the first record has none
	maps.Copy(both, until.counts)
	maps.Copy(both, since.counts)
	keys := slices.SortedFunc(maps.Keys(both), func(a, b serverKey) int {
		return cmp.Or(cmp.Compare(a.pool, b.pool), cmp.Compare(a.server, b.server))
	})
	for _, key := range keys {
		c := history.Counted{Subject: history.Subject{Pool: key.pool, Server: key.server}}
		now, before := until.counts[key], since.counts[key]
		was, some := before.numbers(), false
		for i, n := range now.numbers() {
			d := max(*n-*was[i], 0)
			c.Numbers = append(c.Numbers, d)
			some = some || d > 0
		}
		if now.errors != before.errors {
			c.Errors = grown(orNone(now.errors)[:len(names)], orNone(before.errors)[:], func(i int) string { return names[i] })
		}
		if now.reasons != nil || before.reasons != nil {
			c.Reasons = grown(orNone(now.reasons)[:msg.NumReasons], orNone(before.reasons)[:], func(i int) string { return msg.Reason(i).Name() })
		}
		times := newBetween(since, until, key)
		for took, n := range times.Middles {
			c.Times = append(c.Times, history.Time{Took: int64(took), N: n})
		}
		if some || len(c.Errors)+len(c.Reasons)+len(c.Times) > 0 {
			span.Counted = append(span.Counted, c)
		}
	}
	return span
}

// grown are the counts that have grown.
func grown(now, before []int64, name func(int) string) (list []history.Named) {
	for i := range now {
		if n := now[i] - before[i]; n > 0 {
			list = append(list, history.Named{Name: name(i), N: n})
		}
	}
	return list
}

// errSpans: what was handed over makes no windows.
var errSpans = errors.New("what was counted between records is damaged: windows begin anew")

// recordsOf are records of the program before, the oldest first.
func recordsOf(spans []history.Span, names *stats.ErrorNames) ([]*record, error) {
	records := make([]*record, len(spans))
	next := new(record) // its end
	for i := range slices.Backward(spans) {
		span := &spans[i]
		if i > 0 && (span.At <= spans[i-1].At || span.Second < spans[i-1].Second) {
			return nil, errSpans
		}
		one := next.less(span, names)
		if one == nil {
			return nil, errSpans
		}
		records[i], next = one, one
	}
	return records, nil
}

// less is the record before, from which on a span was counted until this one; nil if the span
// is damaged.
func (c *record) less(span *history.Span, names *stats.ErrorNames) *record {
	one := &record{
		at: time.Unix(0, span.At), second: time.Unix(0, span.Second),
		counts: make(map[serverKey]counts), rest: make(map[serverKey]*latency.Histogram),
	}
	maps.Copy(one.counts, c.counts)
	maps.Copy(one.rest, c.rest)
	for i, n := range span.CPU {
		if i < len(c.cpu) {
			n -= c.cpu[i]
		}
		one.cpu = append(one.cpu, -n)
	}
	for i := range span.Counted {
		of := &span.Counted[i]
		key := serverKey{of.Pool, of.Server}
		n, ok := one.counts[key].less(of, names)
		if !ok {
			return nil
		}
		one.counts[key] = n
		if n.errors != c.counts[key].errors {
			one.size += 8 * int64(len(n.errors))
		}
		if n.reasons != c.counts[key].reasons {
			one.size += 8 * int64(len(n.reasons))
		}
		if len(of.Times) == 0 {
			continue
		}
		rest := new(latency.Histogram)
		rest.Merge(orNone(one.rest[key]))
		for _, t := range of.Times {
			rest.Add(t.Took, t.N)
		}
		one.rest[key] = rest
		one.size += int64(rest.Size())
	}
	one.size += countsSize * int64(len(one.counts))
	return one
}

// less are the counts without what was counted. ok is false if that is damaged.
func (c counts) less(of *history.Counted, names *stats.ErrorNames) (n counts, ok bool) {
	ok = true
	for i, number := range c.numbers() {
		if i < len(of.Numbers) {
			*number -= of.Numbers[i]
			ok = ok && of.Numbers[i] >= 0
		}
	}
	if len(of.Errors) > 0 {
		fewer := *orNone(c.errors)
		for _, one := range of.Errors {
			fewer[names.Index([]byte(one.Name))] -= one.N
			ok = ok && one.N >= 0
		}
		c.errors = &fewer
	}
	if len(of.Reasons) > 0 {
		fewer := *orNone(c.reasons)
		for _, one := range of.Reasons {
			if reason, known := msg.ReasonNamed(one.Name); known {
				fewer[reason] -= one.N
			}
			ok = ok && one.N >= 0
		}
		c.reasons = &fewer
	}
	return c, ok
}
