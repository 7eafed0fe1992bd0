package admin

import (
	"cmp"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/config"
	"nuthatch/internal/topology"
)

// limitedUsers are the users of a pool that have limits, in the order of their names.
func limitedUsers(conf *config.Config, topo []*topology.Topology, pool string) []api.LimitedUser {
	var users []api.LimitedUser
	for i := range conf.Pools {
		p := &conf.Pools[i]
		if p.Name != pool {
			continue
		}
		for j := range p.UserLimits {
			l := &p.UserLimits[j]
			r := topo[i].SeeUserRates(l.Name)
			if r == nil { // no loop has the configuration yet
				r = new(topology.Rates)
			}
			u := api.LimitedUser{
				User: l.Name, Clients: r.Clients.Value(), MaxClients: l.Clients, MaxInFlight: l.InFlight,
				Waiting: r.Held.Value(), Waits: r.Waits.Value(), RefusedRequests: r.Late.Value(), RefusedClients: r.Excess.Value(),
			}
			if l.InFlight > 0 {
				u.InFlight = max(0, r.InFlight.Value()) // loops tell of them one after the other
			}
			users = append(users, u)
		}
	}
	slices.SortFunc(users, func(a, b api.LimitedUser) int { return cmp.Compare(a.User, b.User) })
	return users
}

// A userCollector makes the metrics of users that have limits: as many series as user_limits
// names users, times seven.
type userCollector struct {
	in Instance

	clients, maxClients, inFlight, waiting, waits, late, excess *prometheus.Desc
}

func newUserCollector(in Instance) *userCollector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, []string{"pool", "user"}, nil)
	}
	return &userCollector{
		in:         in,
		clients:    desc("nuthatch_user_clients", "clients that are logged in as the user, of users that user_limits names"),
		maxClients: desc("nuthatch_user_max_clients", "how many clients of the user user_limits allows"),
		inFlight:   desc("nuthatch_user_requests_in_flight", "requests of the user in flight, if user_limits bounds them"),
		waiting:    desc("nuthatch_user_limit_waiting", "clients of the user that wait for its limits"),
		waits:      desc("nuthatch_user_limit_waits_total", "times that a client of the user waited for its limits"),
		late:       desc("nuthatch_user_refused_requests_total", "requests of the user refused since they had waited for max_wait"),
		excess:     desc("nuthatch_user_refused_clients_total", "clients of the user closed since it had as many as it may have"),
	}
}

// Describe implements prometheus.Collector.
func (c *userCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.clients, c.maxClients, c.inFlight, c.waiting, c.waits, c.late, c.excess} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *userCollector) Collect(out chan<- prometheus.Metric) {
	conf, topo := c.in.InForce()
	s := &scrape{out: out}
	for i := range conf.Pools {
		pool := conf.Pools[i].Name
		users := limitedUsers(conf, topo, pool)
		for j := range users {
			u := &users[j]
			s.gauge(c.clients, float64(u.Clients), pool, u.User)
			if u.MaxClients > 0 {
				s.gauge(c.maxClients, float64(u.MaxClients), pool, u.User)
			}
			if u.MaxInFlight > 0 {
				s.gauge(c.inFlight, float64(u.InFlight), pool, u.User)
			}
			s.gauge(c.waiting, float64(u.Waiting), pool, u.User)
			s.counter(c.waits, float64(u.Waits), pool, u.User)
			s.counter(c.late, float64(u.RefusedRequests), pool, u.User)
			s.counter(c.excess, float64(u.RefusedClients), pool, u.User)
		}
	}
}
