package top

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/ctl"
)

// A failure is what failed for one reason: requests of a pool, answered with an
// error of the proxy's own, or of a server, if one is named, without a response.
type failure struct {
	pool, server, reason string
	rate, total          float64
}

var failureColumns = []column[failure]{
	{"REASON", 0, 0, nil, func(f *failure) string { return f.reason }},
	{"POOL", 11, 60, nil, func(f *failure) string { return f.pool }},
	{"SERVER", 18, 72, nil, func(f *failure) string { return orDash(f.server) }},
	{"FAIL/S", 7, 0, func(f *failure) float64 { return f.rate }, func(f *failure) string { return rate(f.rate) }},
	{"TOTAL", 8, 0, func(f *failure) float64 { return f.total }, func(f *failure) string { return count(f.total) }},
}

func newFailureSheet() *sheet { return newSheet(headsOf(failureColumns), 3, "no request failed") }

// failureEntries are the lines of failures, what failed most often first.
func failureEntries(failures []failure) []entry {
	slices.SortStableFunc(failures, func(a, b failure) int { return cmp.Compare(b.total, a.total) })
	list := make([]entry, len(failures))
	for i := range failures {
		f := &failures[i]
		detail := fmt.Sprintf("%s: %.0f requests were answered with an error since the start: %s", f.pool, f.total, f.reason)
		if f.server != "" {
			detail = fmt.Sprintf("%s/%s: %.0f requests had no response since the start: %s", f.pool, f.server, f.total, f.reason)
		}
		list[i] = entry{
			id: f.pool + "\n" + f.server + "\n" + f.reason, pool: f.pool, values: valuesOf(failureColumns, f), detail: detail,
			words: strings.ToLower(f.reason + " " + f.pool + " " + f.server),
		}
		if f.rate > 0 {
			list[i].tone = ill
		}
	}
	return list
}

// A key is one that is asked for often, or of a large request or reply.
type key struct {
	pool, text, what, command        string
	server                           string
	rate, within, share, bytes, when float64
	ago                              time.Duration
}

var keyColumns = []column[key]{
	{"KEY", 0, 0, nil, func(k *key) string { return k.text }},
	{"POOL", 11, 72, nil, func(k *key) string { return k.pool }},
	{"WHAT", 7, 0, nil, func(k *key) string { return k.what }},
	{"REQ/S", 7, 0, func(k *key) float64 { return k.rate }, func(k *key) string { return rate(k.rate) }},
	{"WITHIN", 6, 88, func(k *key) float64 { return k.within }, func(k *key) string { return percent(k.within) }},
	{"SHARE", 6, 60, func(k *key) float64 { return k.share }, func(k *key) string { return percent(k.share) }},
	{"SIZE", 8, 0, func(k *key) float64 { return k.bytes }, func(k *key) string { return size(k.bytes) }},
	{"COMMAND", 10, 96, nil, func(k *key) string { return orDash(k.command) }},
	{"SERVER", 18, 150, nil, func(k *key) string { return orDash(k.server) }},
	{"AGO", 7, 110, func(k *key) float64 { return k.when }, func(k *key) string { return k.age() }},
}

func newKeySheet() *sheet { return newSheet(headsOf(keyColumns), 3, "no key stands out") }

// age is how long ago a large request or reply was.
func (k *key) age() string {
	if k.what == hot {
		return dash
	}
	return span(k.ago)
}

const hot = "hot"

// keyEntries are the lines of keys: first those that are hot, then what is large,
// the largest first.
func keyEntries(h *api.HotKeys, now time.Time) []entry {
	var keys, large []key
	for i := range h.Pools {
		p := &h.Pools[i]
		for _, k := range p.Keys {
			one := key{
				pool: plain(p.Pool), text: ctl.KeyText(k.Key, k.KeyLength), what: hot, server: plain(k.Server),
				rate: k.Rate, within: unknown, share: unknown, bytes: unknown, when: unknown,
			}
			if k.Rate > 0 {
				one.within = k.Error / k.Rate
			}
			if k.Share > 0 {
				one.share = k.Share
			}
			keys = append(keys, one)
		}
		large = append(large, largeKeys(p.Pool, "request", p.BigRequests, now)...)
		large = append(large, largeKeys(p.Pool, "reply", p.BigReplies, now)...)
	}
	slices.SortStableFunc(large, func(a, b key) int { return cmp.Compare(b.bytes, a.bytes) })
	keys = append(keys, large...)
	list := make([]entry, len(keys))
	for i := range keys {
		k := &keys[i]
		detail := fmt.Sprintf("%s  %s  %s requests/s ±%s", k.pool, k.text, rate(k.rate), percent(k.within))
		if k.what != hot {
			detail = fmt.Sprintf("%s  %s  a %s of %s, %s, %s ago", k.pool, k.text, k.what, size(k.bytes), k.command, k.age())
		}
		if k.server != "" {
			detail += "  at " + k.server
		}
		list[i] = entry{
			id: k.pool + "\n" + k.what + "\n" + k.text, pool: k.pool, values: valuesOf(keyColumns, k), detail: detail,
			words: strings.ToLower(k.text + " " + k.pool + " " + k.what + " " + k.command),
		}
	}
	return list
}

func largeKeys(pool, what string, large []api.LargeKey, now time.Time) []key {
	list := make([]key, len(large))
	for i, k := range large {
		list[i] = key{
			pool: plain(pool), text: ctl.KeyText(k.Key, k.KeyLength), what: what, command: ctl.Plain(k.Command), server: plain(k.Server),
			rate: unknown, within: unknown, share: unknown, bytes: float64(k.Size), when: float64(k.Time.UnixMilli()), ago: now.Sub(k.Time),
		}
	}
	return list
}

// A slow is a slow request, as it is shown.
type slow struct {
	api.SlowEntry
	request string
	ago     time.Duration
}

var slowColumns = []column[slow]{
	{"REQUEST", 0, 0, nil, func(s *slow) string { return s.request }},
	{"AGO", 7, 0, func(s *slow) float64 { return float64(s.Time.UnixMilli()) }, func(s *slow) string { return span(s.ago) }},
	{"TOOK", 7, 0, func(s *slow) float64 { return s.Duration }, func(s *slow) string { return delay(s.Duration) }},
	{"CONNECT", 7, 72, func(s *slow) float64 { return s.Connect }, func(s *slow) string { return delay(s.Connect) }},
	{"QUEUE", 7, 72, func(s *slow) float64 { return s.Queue }, func(s *slow) string { return delay(s.Queue) }},
	{"SERVER", 7, 60, func(s *slow) float64 { return s.ServerTime }, func(s *slow) string { return delay(s.ServerTime) }},
	{"TURN", 7, 72, func(s *slow) float64 { return s.Turn }, func(s *slow) string { return delay(s.Turn) }},
	{"AT", 18, 110, nil, func(s *slow) string { return orDash(plain(s.Server)) }},
	{"CLIENT", 21, 130, nil, func(s *slow) string { return ctl.Plain(s.Client) }},
}

func newSlowSheet() *sheet { return newSheet(headsOf(slowColumns), 1, "no request was slow") }

// slowEntries are the lines of the slow log, the latest first.
func slowEntries(l *api.SlowLog, now time.Time) []entry {
	list := make([]entry, len(l.Entries))
	for i := range l.Entries {
		s := slow{SlowEntry: l.Entries[i], ago: now.Sub(l.Entries[i].Time)}
		s.request = ctl.Plain(s.Command)
		if s.KeyLength > 0 {
			s.request += " " + ctl.KeyText(s.Key, s.KeyLength)
		}
		if s.Keys > 1 {
			s.request += fmt.Sprintf(" (%d keys)", s.Keys)
		}
		where := plain(s.Pool)
		if s.Server != "" {
			where += "/" + plain(s.Server)
		}
		client := ctl.Plain(s.Client)
		if s.ClientName != "" {
			client += " " + ctl.Plain(s.ClientName)
		}
		detail := mostly(&s.SlowEntry)
		list[i] = entry{
			id: fmt.Sprintf("%s\n%d", s.Pool, s.ID), pool: plain(s.Pool), values: valuesOf(slowColumns, &s),
			words: strings.ToLower(s.request + " " + where + " " + client + " " + ctl.Plain(s.Error)),
		}
		if s.Error != "" {
			detail += "  " + ctl.Plain(s.Error)
			list[i].tone = odd
		}
		list[i].detail = detail + "  " + where + "  " + client
	}
	return list
}

// mostly tells where the greatest part of a request's time went.
func mostly(e *api.SlowEntry) string {
	parts := []struct {
		name string
		took float64
	}{{"at the server", e.ServerTime}, {"in the queue", e.Queue}, {"waiting for a connection", e.Connect}, {"waiting for its turn", e.Turn}}
	most := parts[0]
	for _, p := range parts[1:] {
		if p.took > most.took {
			most = p
		}
	}
	if e.Duration <= 0 {
		return most.name
	}
	return percent(most.took/e.Duration) + " " + most.name
}

var clientColumns = []column[api.Client]{
	{"CLIENT", 0, 0, nil, func(c *api.Client) string { return ctl.Plain(c.Address) }},
	{"POOL", 11, 96, nil, func(c *api.Client) string { return plain(c.Pool) }},
	{"NAME", 14, 72, nil, func(c *api.Client) string { return orDash(ctl.Plain(c.Name)) }},
	{"LIBRARY", 16, 120, nil, func(c *api.Client) string { return orDash(library(c)) }},
	{"HELD", 8, 0, held, func(c *api.Client) string { return size(held(c)) }},
	{"UNSENT", 8, 80, func(c *api.Client) float64 { return float64(c.Unsent) }, func(c *api.Client) string { return size(float64(c.Unsent)) }},
	{"FLIGHT", 7, 0, func(c *api.Client) float64 { return float64(c.InFlight) }, func(c *api.Client) string { return count(float64(c.InFlight)) }},
	{"IDLE", 7, 60, func(c *api.Client) float64 { return float64(c.Idle) }, func(c *api.Client) string { return seconds(c.Idle) }},
	{"AGE", 7, 72, func(c *api.Client) float64 { return float64(c.Age) }, func(c *api.Client) string { return seconds(c.Age) }},
	{"LOOP", 5, 110, func(c *api.Client) float64 { return float64(c.Loop) }, func(c *api.Client) string { return count(float64(c.Loop)) }},
}

func newClientSheet() *sheet { return newSheet(headsOf(clientColumns), 4, "no client is connected") }

// held are the bytes that the proxy keeps for a client.
func held(c *api.Client) float64 { return float64(c.Received + c.Held + c.Unsent) }

func library(c *api.Client) string {
	return ctl.Plain(strings.TrimSpace(c.Library + " " + c.LibraryVersion))
}

func seconds(n int64) string { return span(time.Duration(n) * time.Second) }

// clientEntries are the lines of clients.
func clientEntries(l *api.Clients) []entry {
	list := make([]entry, len(l.Clients))
	for i := range l.Clients {
		c := &l.Clients[i]
		words := []string{plain(c.Pool), ctl.Plain(c.Address)}
		for _, w := range []string{ctl.Plain(c.Name), library(c)} {
			if w != "" {
				words = append(words, w)
			}
		}
		text := strings.Join(words, "  ")
		list[i] = entry{
			id: fmt.Sprint(c.ID), pool: plain(c.Pool), values: valuesOf(clientColumns, c), words: strings.ToLower(text),
			detail: text + fmt.Sprintf("  received %s, held %s, unsent %s", size(float64(c.Received)), size(float64(c.Held)), size(float64(c.Unsent))),
		}
		if c.Closing {
			list[i].tone, list[i].detail = idle, list[i].detail+"  closing"
		}
	}
	return list
}

func orDash(text string) string {
	if text == "" {
		return dash
	}
	return text
}
