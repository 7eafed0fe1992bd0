package admin

import (
	"net/http"
	"time"

	"nuthatch/internal/acl"
	"nuthatch/internal/admin/api"
	"nuthatch/internal/config"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// Who was refused what: the statistics of each pool that count refusals, and the records of
// its ACL LOG.

// denialSize is about how many bytes a record takes in an answer.
const denialSize = 1 << 10

// costOfDenials is that of GET /api/v1/denials.
func costOfDenials(conf *config.Config, _ *http.Request) int64 {
	return int64(len(conf.Pools)) * acl.MaxLog * denialSize
}

// deniedCounters are the statistics of a pool that count refusals.
var deniedCounters = []stats.PoolField{
	stats.FailedLogins, stats.DeniedStrangers, stats.DeniedPings, stats.DeniedCommands, stats.DeniedKeys, stats.DeniedChannels, stats.DeniedDatabases, stats.DeniedWrites,
	stats.LimitWaits, stats.TLSFailures,
}

// deniedReasons are the reasons that are refusals, of requests that failed, of clients that
// were not let in, and of clients that were closed.
var deniedReasons = []msg.Reason{
	msg.AddressRefused, msg.BadHeader, msg.StrangeHeader, msg.TooManyClients, msg.LoginTimedout, msg.TooManyTries,
	msg.RequestRate, msg.ByteRate, msg.InFlightLimit, msg.UserRequestRate, msg.UserByteRate, msg.UserInFlightLimit,
	msg.UserClientLimit, msg.TooManyUsers, msg.NoPermission, msg.UserRemoved, msg.PoolReadOnly,
}

// showDenials shows what clients of one pool, or of all, were refused.
func showDenials(h *handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name := r.FormValue("pool")
		if !h.known(w, name) {
			return
		}
		snap, at := h.snapshots.get()
		if snap == nil {
			refuse(w, ErrEnding)
			return
		}
		conf, topo := h.Instance.InForce()
		list := api.Denials{Time: at, Pools: []api.PoolDenials{}}
		for i := range snap.Pools {
			if p := &snap.Pools[i]; name == "" || p.Name == name {
				list.Pools = append(list.Pools, api.PoolDenials{
					Pool: p.Name, Counts: denialCounts(p), Waiting: p.Values[stats.LimitWaiting],
					Users:   limitedUsers(conf, topo, p.Name),
					Records: denialRecords(h.Instance.Denials(p.Name), conf.Process.SlowlogKeys),
				})
			}
		}
		answer(w, list)
	}
}

// denialCounts are what a pool has refused, by name. What is 0 is left out.
func denialCounts(p *stats.PoolSnapshot) map[string]int64 {
	counts := make(map[string]int64)
	for _, f := range deniedCounters {
		if n := p.Values[f]; n > 0 {
			counts[stats.PoolFields[f].Name] = n
		}
	}
	for _, why := range deniedReasons {
		n := int64(0)
		for i := range p.Vectors {
			n += p.Vectors[i][why]
		}
		if n > 0 {
			counts[why.Name()] = n
		}
	}
	return counts
}

// denialRecords are records as the API has them, with keys only if those of slow requests are
// kept, too.
func denialRecords(all []acl.Record, keys bool) []api.Denial {
	shown := make([]api.Denial, len(all))
	for i := range all {
		r := &all[i]
		shown[i] = api.Denial{
			Time: time.UnixMilli(r.At), First: time.UnixMilli(r.First), Count: r.Count, Reason: r.Reason, Context: r.Context,
			Object: r.Object, User: r.User, Client: r.Client,
		}
		if r.Reason == acl.DeniedKey.Reason() && !keys {
			shown[i].Object = ""
		}
	}
	return shown
}
