package admin

import (
	"maps"
	"slices"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// The series of a server are there from the start, with the value 0: of one that appears
// with its first occurrence, Prometheus's rate and increase miss that occurrence. The
// reasons and errors are those for which a server can be to blame. Others appear when
// they occur. So do all if there are more servers than maxFirst: most series would be 0
// for ever, and a scrape more than twice as long.

// maxFirst is how many servers, of all pools together, may have their series from the
// start.
const maxFirst = 200

// hasFirst reports whether series are there from the start.
func hasFirst(conf *config.Config) bool {
	servers := 0
	for i := range conf.Pools {
		servers += conf.Pools[i].NumServers()
	}
	return servers <= maxFirst
}

var (
	// connectionReasons are why connections to servers fail.
	connectionReasons = []msg.Reason{
		msg.ConnRefused, msg.Timedout, msg.ConnReset, msg.ServerEOF, msg.HostUnreachable, msg.NetUnreachable, msg.HostDown,
		msg.Unresolved, msg.BrokenPipe, msg.BadReply, msg.NoDescriptors, msg.SocketMissing, msg.AccessDenied, msg.LoginRefused,
		msg.TLSFailed, msg.TLSUnanswered, msg.OtherError,
	}
	// requestReasons are why requests get no response of their server.
	requestReasons = slices.Concat(connectionReasons, []msg.Reason{
		msg.ServerRemoved, msg.ConnReplaced, msg.NoRESP3, msg.NoDatabase, msg.Disabled, msg.ServerBusy, msg.CircuitOpen,
		msg.RequestTimedout, msg.ReplyTooLarge, msg.ServerClosed,
	})
	// firstPool and firstServer are the reasons of the rows of stats.PoolVectors and
	// stats.ServerVectors that have a series from the start.
	firstPool = firstReasons(len(stats.PoolVectors), map[int][]msg.Reason{
		int(stats.FailedRequests): slices.Concat(requestReasons, []msg.Reason{msg.CrossServer, msg.TooManyKeys, msg.NoMemory}),
		int(stats.RefusedClients): {msg.TooManyClients, msg.NoDescriptors},
		int(stats.ClosedClients):  {msg.Asked, msg.ClientEOF, msg.ConnReset, msg.NotProtocol, msg.ClientIdle, msg.OutputLimit, msg.NoMemory},
	})
	firstServer = firstReasons(len(stats.ServerVectors), map[int][]msg.Reason{
		int(stats.ServerFailedRequests): requestReasons,
		int(stats.ClosedConnections):    connectionReasons,
	})
)

// firstFamilies has a flag for each family of commands whose times have series from the start.
func firstFamilies(conf *config.Config, pool string) (first [msg.NumFamilies]bool) {
	i := slices.IndexFunc(conf.Pools, func(p config.Pool) bool { return p.Name == pool })
	if i < 0 || !conf.Process.Latency || !hasFirst(conf) {
		return first
	}
	for f := range first {
		first[f] = conf.Pools[i].Protocol == config.Redis || f != int(msg.Scripts)
	}
	return first
}

// A reasonSet has a flag for each reason.
type reasonSet [msg.NumReasons]bool

func firstReasons(rows int, of map[int][]msg.Reason) []reasonSet {
	sets := make([]reasonSet, rows)
	for row, reasons := range of {
		for _, r := range reasons {
			sets[row][r] = true
		}
	}
	return sets
}

// errorReplies are a server's error replies by prefix. With first, those that mean that the
// server is at fault are among them although they are 0.
func errorReplies(s *stats.ServerSnapshot, names []string, first bool) map[string]int64 {
	counted := s.ErrorReplies(names)
	if !first {
		return counted
	}
	all := make(map[string]int64, len(counted)+len(stats.ServerFaults))
	for _, name := range stats.ServerFaults {
		all[name] = 0
	}
	maps.Copy(all, counted)
	return all
}
