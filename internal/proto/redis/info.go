package redis

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"nuthatch/internal/latency"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// INFO, CONFIG GET, ROLE, LOLWUT and LATENCY HISTOGRAM are about what all event loops
// have counted, and what the servers say of themselves. The answers are made outside
// the loops.

// Facts are what the process knows of itself and of a pool at one moment.
type Facts struct {
	PID     int
	Threads int
	Engine  string // what the event loops run on
	// Loops is of all event loops together.
	Loops      stats.LoopSnapshot
	Port       int
	ConfigFile string
	Uptime     time.Duration
	// Resident is the memory that the process has, and MaxMemory its bound, in bytes.
	Resident, MaxMemory int64
	// CPUUser and CPUSystem are in seconds.
	CPUUser, CPUSystem float64
	// MaxClients is how many clients the pool can have; 0: not known.
	MaxClients int
	// IdleTimeout is after how long an idle client is closed; 0: never.
	IdleTimeout time.Duration
	// SlowerThan is what is slow, SlowLogLen how many requests the slow log keeps.
	SlowerThan time.Duration
	SlowLogLen int
	Pool       *stats.PoolSnapshot
	Commands   []CommandTimes
	// ErrorReplies are the error replies of all servers together, by prefix.
	ErrorReplies map[string]int64
	// States say how the servers are, in the order of Pool.Servers.
	States []string
}

// CommandTimes are how long requests with a command took.
type CommandTimes struct {
	Name string
	*latency.Histogram
	// Rejected is how many the proxy refused, and Failed how many got another error.
	Rejected, Failed int64
}

// A reporter answers them.
type reporter struct {
	*rules
	words *wordReader // the protocol's
}

// reportSlowlog is Report for SLOWLOG GET, which may have very many entries to show.
func (r *reporter) reportSlowlog(req *msg.Request, resp3 bool) (find func(reply func([]byte)), ok bool) {
	n, fault := slowlogCount(req)
	return func(reply func([]byte)) {
		var pool mbuf.Pool
		var out mbuf.Chain
		writeSlowlog(r.slow, n, writer{&pool, &out, resp3})
		b := out.AppendTo(nil)
		out.Release(&pool)
		reply(b)
	}, fault == ""
}

// Report returns a function that makes the reply to a request whose treatment is
// Report. It must be called outside the loops. It makes no reply to HELLO, which Local
// answers once the servers have been asked.
func (r *reporter) Report(req *msg.Request, s *msg.Session) (find func(reply func([]byte)), ok bool) {
	cmd, resp3 := &commands[req.Type], s.Lane.IsRESP3()
	switch {
	case r.facts == nil:
		return nil, false
	case cmd.answer == answerPause:
		return r.reportPause(req, cmd, s)
	case cmd.answer == answerHello:
		return func(reply func([]byte)) { r.facts(true, func(*Facts) { reply(nil) }) }, true
	case req.Error != "":
		return nil, false
	case cmd.answer == answerSlowlog:
		return r.reportSlowlog(req, resp3)
	}
	words := r.reportWords(req)
	return func(reply func([]byte)) {
		r.facts(asksServers(cmd, words), func(f *Facts) {
			var pool mbuf.Pool
			var out mbuf.Chain
			r.report(cmd, words, r.learned.load().survey, f, writer{&pool, &out, resp3})
			b := out.AppendTo(nil)
			out.Release(&pool)
			reply(b)
		})
	}, true
}

// answerReport answers INFO, CONFIG GET, ROLE and LOLWUT when only what this loop knows
// is known.
func (r *reporter) answerReport(req *msg.Request, cmd *command, w writer) {
	r.report(cmd, r.reportWords(req), r.learned.load().survey, nil, w)
}

// reportWords are the words of a request: sections, patterns, or commands.
func (r *reporter) reportWords(req *msg.Request) []string {
	cmd := &commands[req.Type]
	words := make([]string, 0, 4)
	for i := cmd.words(); i < len(req.Args) && len(words) < maxReportWords; i++ {
		words = append(words, strings.ToLower(plain(r.words.word(req, i), maxShown)))
	}
	return words
}

// asksServers reports whether the servers are to be asked for a report.
func asksServers(cmd *command, words []string) bool {
	switch cmd.answer { //nolint:exhaustive // the other reports are the proxy's own
	case answerConfig, answerLolwut, answerRole:
		return true
	case answerInfo:
		return slices.ContainsFunc(sectionsOf(words), func(s *section) bool { return s.servers })
	}
	return false
}

// report appends a report of v, what the servers say, and f, what the process knows;
// each is nil if unknown.
func (r *reporter) report(cmd *command, words []string, v *Survey, f *Facts, w writer) {
	switch cmd.answer {
	case answerInfo:
		w.verbatim(r.info(words, v, f))
	case answerConfig:
		r.configGet(words, v, f, w)
	case answerRole:
		writeRole(v, w)
	case answerLolwut:
		w.verbatim(r.lolwut(v))
	default:
		histograms(words, f, w)
	}
}

// lolwut is the version, as Redis's LOLWUT has it below its art.
func (r *reporter) lolwut(v *Survey) string {
	own := "nuthatch ver. " + r.version + "\n"
	if v == nil || v.version == "" {
		return own
	}
	return strings.ToUpper(v.name[:1]) + v.name[1:] + " ver. " + v.version + ", " + own
}

// maxReportWords bounds the sections, or commands, that a request names.
const maxReportWords = 256

// words is how many words the command's name has.
func (c *command) words() int { return 1 + strings.Count(c.name, "|") }

// A section is a part of INFO.
type section struct {
	name string
	// asked: it is shown only if the request names it, or asks for all.
	asked bool
	// servers: a part of it comes from the servers.
	servers bool
	// write appends its lines; v is empty if no server could be asked, and f is nil
	// if nothing is known of the process.
	write func(r *reporter, v *Survey, f *Facts, line func(name string, value any))
}

var sections = []section{
	{"Server", false, true, infoServer},
	{"Clients", false, false, infoClients},
	{"Memory", false, true, infoMemory},
	{"Persistence", false, true, infoPersistence},
	{"Stats", false, true, infoStats},
	{"Replication", false, true, infoReplication},
	{"CPU", false, false, infoCPU},
	{"Commandstats", true, false, infoCommands},
	{"Errorstats", false, false, infoErrors},
	{"Latencystats", true, false, infoLatency},
	{"Cluster", false, false, infoCluster},
	{"Keyspace", false, true, infoKeyspace},
	{"Servers", false, false, infoServers},
}

// sectionsOf are the sections that INFO with those words shows, which are in lower
// case.
func sectionsOf(words []string) []*section {
	all := slices.ContainsFunc(words, func(s string) bool { return s == "all" || s == "everything" })
	usual := len(words) == 0 || slices.Contains(words, "default")
	var shown []*section
	for i := range sections {
		s := &sections[i]
		if all || usual && !s.asked || slices.Contains(words, strings.ToLower(s.name)) {
			shown = append(shown, s)
		}
	}
	return shown
}

// info is the text of INFO with those words.
func (r *reporter) info(words []string, v *Survey, f *Facts) string {
	if v == nil {
		v = &Survey{}
	}
	var b strings.Builder
	for _, s := range sectionsOf(words) {
		if b.Len() > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString("# " + s.name + "\r\n")
		s.write(r, v, f, func(name string, value any) { fmt.Fprintf(&b, "%s:%v\r\n", name, value) })
	}
	return b.String()
}

// told writes the fields that servers tell. Sizes of memory are also written for
// people.
func told(v *Survey, fields []toldField, line func(string, any)) {
	for _, f := range fields {
		value, ok := v.info[f.name]
		if !ok {
			continue
		}
		line(f.name, value)
		if n, err := strconv.ParseInt(value, 10, 64); err == nil && hasHuman[f.name] {
			line(f.name+"_human", human(n))
		}
	}
}

// hasHuman are the sizes that Redis writes for people, too.
var hasHuman = map[string]bool{
	"used_memory": true, "used_memory_rss": true, "used_memory_peak": true, "total_system_memory": true, "used_memory_lua": true,
	"used_memory_scripts": true, "maxmemory": true,
}

func infoServer(r *reporter, v *Survey, f *Facts, line func(string, any)) {
	told(v, toldVersions, line)
	line("redis_mode", r.mode())
	told(v, toldServer, line)
	line("nuthatch_version", r.version)
	if f == nil {
		return
	}
	up := int64(f.Uptime / time.Second)
	line("process_id", f.PID)
	line("tcp_port", f.Port)
	line("uptime_in_seconds", up)
	line("uptime_in_days", up/(24*3600))
	line("threads", f.Threads)
	line("engine", f.Engine)
	line("config_file", f.ConfigFile)
	line("pool", f.Pool.Name)
}

func infoClients(_ *reporter, _ *Survey, f *Facts, line func(string, any)) {
	if f == nil {
		return
	}
	line("connected_clients", f.Pool.Values[stats.ClientConnections])
	line("maxclients", f.MaxClients)
	blocked := int64(0)
	for i := range f.Pool.Servers {
		blocked += f.Pool.Servers[i].Values[stats.PrivateWaiting]
	}
	line("blocked_clients", blocked)
	line("pubsub_clients", f.Pool.Values[stats.Subscribers])
	line("tracking_clients", f.Pool.Values[stats.TrackingClients])
}

// infoMemory writes the servers' memory, and the proxy's under names of its own.
func infoMemory(_ *reporter, v *Survey, f *Facts, line func(string, any)) {
	told(v, toldMemory, line)
	if f == nil {
		return
	}
	line("nuthatch_used_memory_rss", f.Resident)
	line("nuthatch_used_memory_rss_human", human(f.Resident))
	line("nuthatch_max_memory", f.MaxMemory)
	line("nuthatch_max_memory_human", human(f.MaxMemory))
}

// human is a size as Redis writes it for people.
func human(n int64) string {
	v, unit := float64(n), 0
	for v >= 1024 && unit < 4 {
		v, unit = v/1024, unit+1
	}
	if unit == 0 {
		return strconv.FormatInt(n, 10) + "B"
	}
	return strconv.FormatFloat(v, 'f', 2, 64) + "BKMGT"[unit:unit+1]
}

func infoPersistence(_ *reporter, v *Survey, _ *Facts, line func(string, any)) {
	told(v, toldPersistence, line)
}

// infoStats writes Redis's statistics: about clients and requests they are the proxy's,
// about keys the servers'. Statistics that only the proxy has follow.
func infoStats(_ *reporter, s *Survey, f *Facts, line func(string, any)) {
	if f == nil {
		told(s, toldStats, line)
		return
	}
	v := &f.Pool.Values
	var in, out int64
	for i := range f.Pool.Servers {
		in += f.Pool.Servers[i].Values[stats.RequestBytes]
		out += f.Pool.Servers[i].Values[stats.ResponseBytes]
	}
	line("total_connections_received", v[stats.ClientConnections]+v[stats.ClientEOF]+v[stats.ClientErr])
	line("total_commands_processed", v[stats.ClientRequests])
	line("total_net_input_bytes", in)
	line("total_net_output_bytes", out)
	line("rejected_connections", v[stats.ClientsRefused])
	replies := v[stats.ForwardError]
	for _, n := range f.ErrorReplies {
		replies += n
	}
	line("total_error_replies", replies)
	told(s, toldStats, line)
	for i, field := range &stats.PoolFields {
		line(field.Name, v[i])
	}
	if f.Loops[stats.RingEnters] == 0 { // no rings
		return
	}
	for i := stats.RingEnters; i <= stats.RingBytes; i++ {
		line("nuthatch_"+stats.LoopFields[i].Name, f.Loops[i])
	}
}

func infoReplication(r *reporter, v *Survey, _ *Facts, line func(string, any)) {
	if v.isReplica() {
		told(v, toldRole, line)
	} else {
		line("role", "master")
	}
	told(v, toldReplication, line)
	if r.servers == 1 {
		told(v, toldByOne, line)
	}
}

// writeRole appends what ROLE says: of a master that it has no replicas, of a replica
// not where its master is. Clients are to stay with the proxy.
func writeRole(v *Survey, w writer) {
	if !v.isReplica() {
		w.array(3)
		w.bulkString("master")
		w.integer(0)
		w.array(0)
		return
	}
	state := "connect"
	if v.info["master_link_status"] == "up" {
		state = "connected"
	}
	w.array(5)
	w.bulkString(replica)
	w.bulkString("")
	w.integer(0)
	w.bulkString(state)
	w.integer(0)
}

// infoKeyspace writes the databases that have keys, by the numbers that clients use.
func infoKeyspace(r *reporter, v *Survey, _ *Facts, line func(string, any)) {
	for _, n := range v.databasesShown(r.databases.own, r.databases.n) {
		k := v.spaces[n]
		if !r.databases.several() {
			n = 0
		}
		text := fmt.Sprintf("keys=%d,expires=%d,avg_ttl=%d", k.keys, k.expires, k.avgTTL)
		if k.subexpiry > 0 {
			text += fmt.Sprintf(",subexpiry=%d", k.subexpiry)
		}
		line("db"+strconv.Itoa(n), text)
	}
}

func infoCPU(_ *reporter, _ *Survey, f *Facts, line func(string, any)) {
	if f == nil {
		return
	}
	line("used_cpu_sys", strconv.FormatFloat(f.CPUSystem, 'f', 6, 64))
	line("used_cpu_user", strconv.FormatFloat(f.CPUUser, 'f', 6, 64))
}

func infoCommands(_ *reporter, _ *Survey, f *Facts, line func(string, any)) {
	if f == nil {
		return
	}
	for _, c := range f.Commands {
		line("cmdstat_"+c.Name, fmt.Sprintf("calls=%d,usec=%d,usec_per_call=%.2f,rejected_calls=%d,failed_calls=%d",
			max(0, int64(c.Count())-c.Rejected), c.Sum().Microseconds(), float64(c.Mean())/float64(time.Microsecond), c.Rejected, c.Failed))
	}
}

// infoErrors writes the counts of the proxy's own errors, by reason, in small letters,
// and those of the servers, by prefix, in capitals.
func infoErrors(_ *reporter, _ *Survey, f *Facts, line func(string, any)) {
	if f == nil {
		return
	}
	for r, n := range f.Pool.Vectors[stats.FailedRequests][:msg.NumReasons] {
		if n > 0 {
			line("errorstat_"+msg.Reason(r).Name(), fmt.Sprintf("count=%d", n))
		}
	}
	for _, prefix := range slices.Sorted(maps.Keys(f.ErrorReplies)) {
		line("errorstat_"+prefix, fmt.Sprintf("count=%d", f.ErrorReplies[prefix]))
	}
}

func infoLatency(_ *reporter, _ *Survey, f *Facts, line func(string, any)) {
	if f == nil {
		return
	}
	usec := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
	for _, c := range f.Commands {
		line("latency_percentiles_usec_"+c.Name, fmt.Sprintf("p50=%.3f,p99=%.3f,p99.9=%.3f",
			usec(c.Quantile(0.5)), usec(c.Quantile(0.99)), usec(c.Quantile(0.999))))
	}
}

func infoCluster(r *reporter, _ *Survey, _ *Facts, line func(string, any)) {
	if r.emulate != nil {
		line("cluster_enabled", 1)
		return
	}
	line("cluster_enabled", 0)
}

// infoServers writes the pool's servers, with all statistics of each.
func infoServers(_ *reporter, _ *Survey, f *Facts, line func(string, any)) {
	if f == nil {
		return
	}
	for i := range f.Pool.Servers {
		s := &f.Pool.Servers[i]
		parts := []string{"name=" + s.Name}
		if i < len(f.States) {
			parts = append(parts, "state="+f.States[i])
		}
		for j, field := range &stats.ServerFields {
			parts = append(parts, field.Name+"="+strconv.FormatInt(s.Values[j], 10))
		}
		line("server"+strconv.Itoa(i), strings.Join(parts, ","))
	}
}

// histograms appends the answer to LATENCY HISTOGRAM: for each command, how many
// requests took at most 1, 2, 4, ... microseconds.
func histograms(names []string, f *Facts, w writer) {
	if f == nil { // the proxy ends
		w.mapping(0)
		return
	}
	found := slices.DeleteFunc(slices.Clone(f.Commands), func(c CommandTimes) bool {
		container, _, _ := strings.Cut(c.Name, "|")
		return len(names) > 0 && !slices.Contains(names, c.Name) && !slices.Contains(names, container)
	})
	slices.SortFunc(found, func(a, b CommandTimes) int { return cmp.Compare(a.Name, b.Name) })
	w.mapping(len(found))
	for _, c := range found {
		w.bulkString(c.Name)
		w.mapping(2)
		w.bulkString("calls")
		w.integer(int64(min(c.Count(), math.MaxInt64)))
		w.bulkString("histogram_usec")
		var steps []int64
		last := uint64(0)
		for usec := int64(1); last < c.Count() && usec < math.MaxInt32; usec *= 2 {
			if n := c.AtMost(time.Duration(usec) * time.Microsecond); n > last {
				steps = append(steps, usec, int64(n))
				last = n
			}
		}
		w.mapping(len(steps) / 2)
		for _, n := range steps {
			w.integer(n)
		}
	}
}
