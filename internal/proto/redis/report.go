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

// INFO and LATENCY HISTOGRAM: about what all event loops have counted. They are
// written outside the loops.

// Facts are what the process knows of itself and of a pool at one moment.
type Facts struct {
	PID        int
	Threads    int
	Port       int
	ConfigFile string
	Uptime     time.Duration
	// Resident is the memory that the process has, and MaxMemory its bound, in bytes.
	Resident, MaxMemory int64
	// CPUUser and CPUSystem are in seconds.
	CPUUser, CPUSystem float64
	// MaxClients is how many clients the pool can have; 0: not known.
	MaxClients int
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
}

// Report is what makes the reply to a request whose treatment is Report. It is to
// be called outside the loops. Nil: Local answers.
func (p *Protocol) Report(req *msg.Request, s *msg.Session) func() []byte {
	if p.facts == nil || req.Error != "" {
		return nil
	}
	cmd, resp3 := &commands[req.Type], s.Lane.IsRESP3()
	words := make([]string, 0, 4)
	for i := cmd.words(); i < len(req.Args) && len(words) < maxReportWords; i++ {
		words = append(words, strings.ToLower(plain(p.word(req, i), maxShown)))
	}
	return func() []byte {
		var pool mbuf.Pool
		var out mbuf.Chain
		w := writer{&pool, &out, resp3}
		if cmd.answer == answerInfo {
			w.verbatim(p.info(words, p.facts()))
		} else {
			histograms(words, p.facts(), w)
		}
		reply := out.AppendTo(nil)
		out.Release(&pool)
		return reply
	}
}

// maxReportWords bounds the sections, or commands, that a request names.
const maxReportWords = 256

// words is how many words the command's name has.
func (c *command) words() int { return 1 + strings.Count(c.name, "|") }

// A section is a part of INFO.
type section struct {
	name string
	// asked: it is shown only to who asks for it, or for all.
	asked bool
	// write appends its lines; f is nil if nothing is known but the program.
	write func(p *Protocol, f *Facts, line func(name string, value any))
}

var sections = []section{
	{"Server", false, infoServer},
	{"Clients", false, infoClients},
	{"Memory", false, infoMemory},
	{"Persistence", false, infoPersistence},
	{"Stats", false, infoStats},
	{"Replication", false, infoReplication},
	{"CPU", false, infoCPU},
	{"Commandstats", true, infoCommands},
	{"Errorstats", false, infoErrors},
	{"Latencystats", true, infoLatency},
	{"Cluster", false, infoCluster},
	{"Servers", false, infoServers},
}

// info is the text of INFO with those words, which are in lower case.
func (p *Protocol) info(words []string, f *Facts) string {
	all := slices.ContainsFunc(words, func(s string) bool { return s == "all" || s == "everything" })
	usual := len(words) == 0 || slices.Contains(words, "default")
	var b strings.Builder
	for _, s := range sections {
		if !all && (!usual || s.asked) && !slices.Contains(words, strings.ToLower(s.name)) {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString("# " + s.name + "\r\n")
		s.write(p, f, func(name string, value any) { fmt.Fprintf(&b, "%s:%v\r\n", name, value) })
	}
	return b.String()
}

func infoServer(p *Protocol, f *Facts, line func(string, any)) {
	line("redis_version", serverVersion)
	line("redis_mode", "standalone")
	line("nuthatch_version", p.version)
	if f == nil {
		return
	}
	up := int64(f.Uptime / time.Second)
	line("arch_bits", strconv.IntSize)
	line("process_id", f.PID)
	line("tcp_port", f.Port)
	line("uptime_in_seconds", up)
	line("uptime_in_days", up/(24*3600))
	line("threads", f.Threads)
	line("config_file", f.ConfigFile)
	line("pool", f.Pool.Name)
}

func infoClients(_ *Protocol, f *Facts, line func(string, any)) {
	if f == nil {
		return
	}
	line("connected_clients", f.Pool.Values[stats.ClientConnections])
	line("maxclients", f.MaxClients)
	line("blocked_clients", 0)
}

func infoMemory(_ *Protocol, f *Facts, line func(string, any)) {
	if f == nil {
		return
	}
	line("used_memory", f.Resident)
	line("used_memory_human", human(f.Resident))
	line("used_memory_rss", f.Resident)
	line("maxmemory", f.MaxMemory)
	line("maxmemory_human", human(f.MaxMemory))
	line("maxmemory_policy", "noeviction")
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

// infoPersistence says what clients look for: that nothing is being loaded.
func infoPersistence(_ *Protocol, _ *Facts, line func(string, any)) {
	line("loading", 0)
}

// infoStats tells Redis's statistics, as far as the proxy has them, and its own.
func infoStats(_ *Protocol, f *Facts, line func(string, any)) {
	if f == nil {
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
	for i, field := range &stats.PoolFields {
		line(field.Name, v[i])
	}
}

func infoReplication(_ *Protocol, _ *Facts, line func(string, any)) {
	line("role", "master")
	line("connected_slaves", 0)
}

func infoCPU(_ *Protocol, f *Facts, line func(string, any)) {
	if f == nil {
		return
	}
	line("used_cpu_sys", strconv.FormatFloat(f.CPUSystem, 'f', 6, 64))
	line("used_cpu_user", strconv.FormatFloat(f.CPUUser, 'f', 6, 64))
}

func infoCommands(_ *Protocol, f *Facts, line func(string, any)) {
	if f == nil {
		return
	}
	for _, c := range f.Commands {
		line("cmdstat_"+c.Name, fmt.Sprintf("calls=%d,usec=%d,usec_per_call=%.2f",
			c.Count(), c.Sum().Microseconds(), float64(c.Mean())/float64(time.Microsecond)))
	}
}

// infoErrors counts the errors of the proxy's own, by reason, in small letters, and
// those of the servers, by prefix, in capitals.
func infoErrors(_ *Protocol, f *Facts, line func(string, any)) {
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

func infoLatency(_ *Protocol, f *Facts, line func(string, any)) {
	if f == nil {
		return
	}
	usec := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
	for _, c := range f.Commands {
		line("latency_percentiles_usec_"+c.Name, fmt.Sprintf("p50=%.3f,p99=%.3f,p99.9=%.3f",
			usec(c.Quantile(0.5)), usec(c.Quantile(0.99)), usec(c.Quantile(0.999))))
	}
}

func infoCluster(_ *Protocol, _ *Facts, line func(string, any)) {
	line("cluster_enabled", 0)
}

// infoServers tells the pool's servers, with all that is counted of each.
func infoServers(_ *Protocol, f *Facts, line func(string, any)) {
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

// histograms appends what LATENCY HISTOGRAM says: of each command, how many
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
