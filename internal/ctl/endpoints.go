package ctl

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/units"
)

func (s *session) info([]string) error {
	var i api.Info
	if written, err := s.ask(infoPath, nil, &i); written || err != nil {
		return err
	}
	if i.Program == "" {
		return s.client.noNuthatch("an answer")
	}
	return s.table("", func(add func(...any)) {
		add("program", fmt.Sprintf("%s %s (%s)", i.Program, i.Version, i.Go))
		add("process", fmt.Sprintf("%d on %s, up %s", i.PID, i.Host, units.Age(time.Duration(i.Uptime*float64(time.Second)))))
		add("config", orDash(i.ConfigFile))
		ready := "ready"
		if !i.Ready {
			ready = "not ready: " + strings.Join(i.NotReady, "; ")
		}
		add("state", i.State+", "+ready)
		p := &i.Process
		add("connections", fmt.Sprintf("%d (%d since the start)", p.Connections, p.TotalConnections))
		add("descriptors", fmt.Sprintf("%d of %d", p.Descriptors, p.MaxDescriptors))
		add("memory", units.Size(p.ResidentMemory)+" resident, "+units.Size(p.HeapMemory)+" on the heap")
		if p.MaxMemory > 0 {
			beside := ""
			if p.RingMemory > 0 {
				beside = ", of which rings may take " + units.Size(p.RingMemory)
			}
			add("held for clients", units.Size(p.HeldMemory)+" of "+units.Size(p.SoftMemory)+" (max_memory "+units.Size(p.MaxMemory)+beside+")")
		}
		add("cpu", fmt.Sprintf("%.1fs", p.CPU))
		add("engine", i.Engine+": "+i.EngineReason)
		for _, l := range i.Loops {
			add(fmt.Sprintf("loop %d", l.ID), fmt.Sprintf("%d%% busy in the last seconds, %s", int(l.Busy*100+0.5), units.Count(l.Counters["clients"], "client")))
			if c := l.Counters; c["ring_enters"] > 0 {
				add(fmt.Sprintf("ring %d", l.ID), fmt.Sprintf("%d enters, %d submissions, %d completions, %d overflows, %s",
					c["ring_enters"], c["ring_submissions"], c["ring_completions"], c["ring_overflows"], units.Size(c["ring_bytes"])))
			}
		}
	})
}

// pools asks for the pool in args or options, or for all.
func (s *session) pools(args []string) (p api.Pools, written bool, err error) {
	written, err = s.ask("/api/v1/pools", s.windowQuery(args), &p)
	return p, written, err
}

func (s *session) poolQuery(args []string) map[string][]string {
	query := make(map[string][]string)
	if len(args) > 0 {
		s.Pool = args[0]
	}
	if s.Pool != "" {
		query["pool"] = []string{s.Pool}
	}
	return query
}

// windowQuery is poolQuery for what has rates.
func (s *session) windowQuery(args []string) map[string][]string {
	query := s.poolQuery(args)
	if s.Window != "" {
		query["window"] = []string{s.Window}
	}
	return query
}

func (s *session) stats(args []string) error {
	pools, written, err := s.pools(args)
	if written || err != nil {
		return err
	}
	head := "POOL\tPROTOCOL\tLISTEN\tCLIENTS\tSERVERS UP\tREQUESTS\tREQ/S\tFAILED\tFAIL/S\tERROR REPLIES\tEJECTIONS\tLISTENERS\tMESSAGES\tTOO SLOW\tP50\tP99\tMAX\tSTATE"
	return s.table(head, func(add func(...any)) {
		for i := range pools.Pools {
			p := &pools.Pools[i]
			up, errors := 0, int64(0)
			for j := range p.Servers {
				if p.Servers[j].State == "up" {
					up++
				}
				errors += sum(p.Servers[j].ErrorReplies)
			}
			p50, p99, most := times(p.Latency)
			requests, failed := rates(p.Recent)
			add(p.Name, p.Protocol, p.Listen, p.Clients, fmt.Sprintf("%d/%d", up, len(p.Servers)),
				p.Counters["client_requests"], requests, sum(p.Reasons["failed_requests"]), failed, errors,
				p.Counters["server_ejects"], p.Counters["subscribers"], p.Counters["messages"], p.Counters["subscribers_slow"], p50, p99, most, poolState(p, pools.Time))
		}
	}, windowLine(pools.Window, pools.Time))
}

// windowLine says which seconds rates and percentiles are of, and the time of all other numbers:
// a snapshot that several questions share is a little older than the question.
func windowLine(w *api.Window, at time.Time) string {
	if w == nil {
		return ""
	}
	return fmt.Sprintf("REQ/S, FAIL/S and percentiles are of %s, until %s; all other numbers are as they were at %s.",
		units.Window(w.Seconds), w.Until.Local().Format(time.TimeOnly), at.Local().Format("15:04:05.000"))
}

// poolState says whether the pool is paused, and until when.
func poolState(p *api.Pool, now time.Time) string {
	switch {
	case !p.Paused:
		return "open"
	case p.PausedUntil == nil:
		return "paused"
	}
	state := "paused for " + units.Age(p.PausedUntil.Sub(now)) + " more"
	if p.PausedBy != "" {
		state += " by " + p.PausedBy
	}
	return state
}

func (s *session) servers(args []string) error {
	var list api.Servers
	if written, err := s.ask("/api/v1/servers", s.windowQuery(args), &list); written || err != nil {
		return err
	}
	head := "POOL\tSERVER\tADDRESS\tSTATE\tSINCE\tREASON\tSHARE\tCONNS\tPRIVATE\tIN QUEUE\tOUT QUEUE\tREQUESTS\tREQ/S\tFAILED\tFAIL/S\tERROR REPLIES\tP50\tP99"
	return s.table(head, func(add func(...any)) {
		for i := range list.Servers {
			v := &list.Servers[i]
			since := "-"
			if v.Since != nil {
				since = units.Age(list.Time.Sub(*v.Since))
			}
			p50, p99, _ := times(v.Latency)
			requests, failed := rates(v.Recent)
			add(v.Pool, v.Name, v.Address, v.State, since, orDash(v.Reason), fmt.Sprintf("%.2f%%", v.Share*100),
				v.Counters["server_connections"], private(v), v.Counters["in_queue"], v.Counters["out_queue"],
				v.Counters["requests"], requests, sum(v.Reasons["failed_requests"]), failed, errorReplies(v.ErrorReplies), p50, p99)
		}
	}, windowLine(list.Window, list.Time))
}

func (s *session) clients(args []string) error {
	query := s.poolQuery(args)
	s.limit(query)
	var list api.Clients
	if written, err := s.ask("/api/v1/clients", query, &list); written || err != nil {
		return err
	}
	err := s.table("ID\tPOOL\tLOOP\tADDRESS\tUSER\tNAME\tLIBRARY\tAGE\tIDLE\tIN FLIGHT\tHELD\tUNSENT\tSESSION", func(add func(...any)) {
		for i := range list.Clients {
			c := &list.Clients[i]
			add(c.ID, c.Pool, c.Loop, c.Address, orDash(c.User), orDash(c.Name), orDash(strings.TrimSpace(c.Library+" "+c.LibraryVersion)),
				units.Age(time.Duration(c.Age)*time.Second), units.Age(time.Duration(c.Idle)*time.Second), c.InFlight,
				units.Size(int64(c.Held)), units.Size(int64(c.Unsent)), sessionOf(c))
		}
	})
	if shown := len(list.Clients); err == nil && shown < list.Total {
		_, err = fmt.Fprintf(s.out, "%d of %d clients; --limit shows more\n", shown, list.Total)
	}
	return err
}

// private is how many of the connections that clients may have to themselves they have, and
// on how many of those something waits.
func private(v *api.Server) string {
	text := fmt.Sprintf("%d/%d", v.Counters["private_connections"], v.MaxPrivate)
	if n := v.Counters["private_waiting"]; n > 0 {
		text += fmt.Sprintf(" (%d wait)", n)
	}
	return text
}

// sessionOf is what binds the client to servers.
func sessionOf(c *api.Client) string {
	var words []string
	if c.Blocked {
		words = append(words, "blocked")
	}
	if c.Tracks {
		words = append(words, "tracked")
	}
	if c.Monitors {
		words = append(words, "monitor")
	}
	if c.Multi != nil {
		words = append(words, fmt.Sprintf("multi %d", *c.Multi))
	}
	if c.Watched > 0 {
		words = append(words, fmt.Sprintf("watch %d", c.Watched))
	}
	if c.Listens > 0 {
		words = append(words, fmt.Sprintf("listens %d", c.Listens))
	}
	if c.Private > 0 {
		words = append(words, fmt.Sprintf("private %d", c.Private))
	}
	return orDash(strings.Join(words, ", "))
}

func (s *session) limit(query map[string][]string) {
	if s.Limit > 0 {
		query["limit"] = []string{strconv.Itoa(s.Limit)}
	}
}

func (s *session) where(keys []string) error {
	query := s.poolQuery(nil)
	query["key"] = keys
	var found api.Where
	if written, err := s.ask("/api/v1/where", query, &found); written || err != nil {
		return err
	}
	return s.table("POOL\tKEY\tSERVER\tADDRESS\tSTATE\tWHY", func(add func(...any)) {
		for i := range found.Placements {
			p := &found.Placements[i]
			add(p.Pool, p.Key, orDash(p.Server), orDash(p.Address), orDash(p.State), p.Why)
		}
	})
}

func (s *session) config([]string) error {
	var c api.Configuration
	if written, err := s.ask("/api/v1/config", nil, &c); written || err != nil {
		return err
	}
	_, err := fmt.Fprint(s.out, c.Text)
	return err
}

func (s *session) ready([]string) error {
	var d api.Done
	if written, err := s.ask("/readyz", nil, &d); written || err != nil {
		return err
	}
	_, err := fmt.Fprintln(s.out, d.Done)
	return err
}

func sum(byReason map[string]int64) int64 {
	n := int64(0)
	for _, v := range byReason {
		n += v
	}
	return n
}

// times are those of the last seconds or, if these are not known, since the
// start.
func times(l *api.Latency) (p50, p99, most string) {
	if l == nil {
		return "-", "-", "-"
	}
	if l.Recent != nil {
		l = &l.Recent.Latency
	}
	return units.Seconds(l.P50), units.Seconds(l.P99), units.Seconds(l.Max)
}

// rates are the requests and the failures per second, in the last seconds.
func rates(r *api.Rates) (requests, failed string) {
	if r == nil {
		return "-", "-"
	}
	return units.PerSecond(r.Requests), units.PerSecond(r.Failed)
}

// maxErrorsShown is how many prefixes of error replies are named in a line.
const maxErrorsShown = 3

// errorReplies are a server's error replies, the most frequent ones by name.
func errorReplies(of map[string]int64) string {
	if len(of) == 0 {
		return "0"
	}
	prefixes := slices.SortedFunc(maps.Keys(of), func(a, b string) int {
		return cmp.Or(cmp.Compare(of[b], of[a]), cmp.Compare(a, b))
	})
	var words []string
	rest := sum(of)
	for _, prefix := range prefixes[:min(len(prefixes), maxErrorsShown)] {
		words = append(words, fmt.Sprintf("%d %s", of[prefix], prefix))
		rest -= of[prefix]
	}
	if rest > 0 {
		words = append(words, fmt.Sprintf("%d more", rest))
	}
	return strings.Join(words, ", ")
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// Plain is text without characters that a terminal or the table would interpret.
// Clients choose their names and keys.
func Plain(text string) string {
	for _, c := range text {
		if !strconv.IsPrint(c) {
			return strconv.Quote(text)
		}
	}
	return text
}
