package redis

import (
	"strconv"
	"strings"
	"time"

	"nuthatch/internal/msg"
	"nuthatch/internal/slowlog"
)

// SLOWLOG, and those of LATENCY's subcommands that are about the slow requests. Both
// show those of the client's own pool.

const (
	// slowlogGet is how many entries SLOWLOG GET shows without a count.
	slowlogGet = 10
	// eventName is the only event that LATENCY knows: a slow request.
	eventName = "command"
	// historyLen is how many events LATENCY HISTORY shows.
	historyLen = 160
)

// replySlowlog answers SLOWLOG from log, the pool's.
func replySlowlog(log *slowlog.Log, req *msg.Request, cmd *command, w writer) {
	switch cmd.sub {
	case "get":
		getSlowlog(log, req, w)
	case "len":
		w.integer(int64(log.Len()))
	case "reset":
		log.Reset()
		w.ok()
	}
}

func getSlowlog(log *slowlog.Log, req *msg.Request, w writer) {
	n, fault := slowlogCount(req)
	if fault != "" {
		w.fail("ERR ", fault)
		return
	}
	writeSlowlog(log, n, w)
}

// slowlogCount is how many entries a request asks for; -1: all.
func slowlogCount(req *msg.Request) (n int, fault string) {
	switch {
	case len(req.Args) > 3:
		return 0, "wrong number of arguments for 'slowlog|get' command"
	case len(req.Args) == 3:
		n, ok := number(req, 2)
		if !ok || n < -1 {
			return 0, "count should be greater than or equal to -1"
		}
		return int(min(n, 1<<20)), ""
	}
	return slowlogGet, ""
}

// writeSlowlog appends the latest n entries. It may be called outside the loops.
func writeSlowlog(log *slowlog.Log, n int, w writer) {
	entries := log.Latest(n)
	w.array(len(entries))
	for _, e := range entries {
		w.array(6)
		w.integer(e.ID)
		w.integer(e.Time.Unix())
		w.integer(e.Duration.Microseconds())
		words := slowWords(e)
		w.array(len(words))
		for _, s := range words {
			w.bulkString(s)
		}
		w.bulkString(e.Client)
		w.bulkString(e.ClientName)
	}
}

// slowWords stand in place of the request's words: the command, the key if it was kept,
// and where the time went.
func slowWords(e *slowlog.Entry) []string {
	words := strings.Split(strings.ToUpper(e.Command), "|")
	if e.Key != "" {
		key := e.Key
		if more := e.KeyLen - len(e.Key); more > 0 {
			key += "... (" + strconv.Itoa(more) + " more bytes)"
		}
		words = append(words, key)
	}
	if e.Keys > 1 {
		words = append(words, "... ("+strconv.Itoa(e.Keys)+" keys)")
	}
	if e.ServerName != "" {
		words = append(words, "server="+e.ServerName)
	}
	for _, part := range slowParts(e) {
		words = append(words, part.name+"_usec="+strconv.FormatInt(part.time.Microseconds(), 10))
	}
	if e.Error != "" {
		words = append(words, "error="+e.Error)
	}
	return words
}

// A slowPart is a part of a slow request's time.
type slowPart struct {
	name string
	time time.Duration
}

func slowParts(e *slowlog.Entry) [4]slowPart {
	return [4]slowPart{{"connect", e.Connect}, {"queue", e.Queue}, {"server", e.Server}, {"turn", e.Turn}}
}

// replyLatency answers LATENCY from log, the pool's.
func replyLatency(log *slowlog.Log, req *msg.Request, cmd *command, w writer) {
	events := log.Events()
	switch cmd.sub {
	case "latest":
		latestEvent(events, w)
	case "history":
		if !isWord(req, 2, eventName) {
			events = nil
		}
		events = events[:min(len(events), historyLen)]
		w.array(len(events))
		for i := range events {
			e := events[len(events)-1-i]
			w.array(2)
			w.integer(e.Time.Unix())
			w.integer(e.Duration.Milliseconds())
		}
	case "reset":
		forget := len(req.Args) == 2
		for i := 2; i < len(req.Args); i++ {
			forget = forget || isWord(req, i, eventName)
		}
		if !forget || len(events) == 0 {
			w.integer(0)
			return
		}
		log.ResetEvents()
		w.integer(1)
	case "histogram": // when nothing is known
		histograms(nil, nil, w)
	case "doctor":
		w.verbatim(diagnosis(events))
	}
}

// latestEvent answers LATENCY LATEST.
func latestEvent(events []*slowlog.Entry, w writer) {
	if len(events) == 0 {
		w.array(0)
		return
	}
	longest := events[0]
	for _, e := range events {
		if e.Duration > longest.Duration {
			longest = e
		}
	}
	w.array(1)
	w.array(4)
	w.bulkString(eventName)
	w.integer(events[0].Time.Unix())
	w.integer(events[0].Duration.Milliseconds())
	w.integer(longest.Duration.Milliseconds())
}

// remedies say what can be done about the part that takes most of the time.
var remedies = map[string]string{
	"connect": "Connections to servers are made too late or too slowly: `preconnect: true` makes them at the start, and a server " +
		"that closes idle connections should not.",
	"queue":  "Requests wait to be sent: servers do not read as fast as clients write. Large values, or too few connections, are the usual reason.",
	"server": "The servers take that time. Look at their own SLOWLOG, and at the share of each here.",
	"turn":   "Replies wait for those of earlier requests of the same client: one slow request holds up the pipeline behind it.",
}

// diagnosis says where the time of the slow requests went.
func diagnosis(events []*slowlog.Entry) string {
	if len(events) == 0 {
		return "No request was slow: none took as long as slowlog_slower_than.\n"
	}
	var total time.Duration
	var sums [4]slowPart
	servers := map[string]int{}
	worst := ""
	for _, e := range events {
		total += e.Duration
		for i, part := range slowParts(e) {
			sums[i].name = part.name
			sums[i].time += part.time
		}
		if servers[e.ServerName]++; e.ServerName != "" && (worst == "" || servers[e.ServerName] > servers[worst]) {
			worst = e.ServerName
		}
	}
	requests := " slow requests, "
	if len(events) == 1 {
		requests = " slow request, "
	}
	longest := slowPart{}
	lines := []string{strconv.Itoa(len(events)) + requests + total.Round(time.Millisecond).String() + " in all:"}
	for _, s := range sums {
		lines = append(lines, "- "+s.name+": "+percent(s.time, total))
		if s.time > longest.time {
			longest = s
		}
	}
	if n := servers[""]; n > 0 {
		lines = append(lines, strconv.Itoa(n)+" of them went to no server: the proxy answered them itself.")
	}
	if worst != "" {
		lines = append(lines, strconv.Itoa(servers[worst])+" of them went to "+worst+", more than to any other server.")
	}
	if longest.time > 0 {
		lines = append(lines, remedies[longest.name])
	}
	return strings.Join(lines, "\n") + "\n"
}

func percent(part, total time.Duration) string {
	return strconv.FormatInt(int64(100*part/max(total, 1)), 10) + "%"
}
