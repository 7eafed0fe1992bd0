package daemon

import (
	"testing"

	"nuthatch/internal/config"
)

func TestDescriptors(t *testing.T) {
	pool := func(protocol config.Protocol, servers, connections, databases int) config.Pool {
		return config.Pool{
			Protocol: protocol, Servers: make([]config.Server, servers), ServerConnections: connections, Databases: databases,
		}
	}
	private := func(p config.Pool, n int) config.Pool {
		p.PrivateConnections = n
		return p
	}
	for name, c := range map[string]struct {
		pools []config.Pool
		limit int
		want  Descriptors
		found []foundServers
	}{
		"memcached": {
			[]config.Pool{pool(config.Memcached, 10, 2, 1)},
			1024,
			Descriptors{Limit: 1024, Servers: 40, Own: 134, Clients: 850},
			nil,
		},
		"two versions of RESP, and a second pool": {
			[]config.Pool{pool(config.Redis, 3, 1, 1), pool(config.Memcached, 1, 1, 1)},
			1000,
			Descriptors{Limit: 1000, Servers: 14, Own: 136, Clients: 850},
			nil,
		},
		"many databases": {
			[]config.Pool{pool(config.Redis, 1, 1, 1000)},
			1000,
			Descriptors{Limit: 1000, Servers: 32, Own: 134, Clients: 834},
			nil,
		},
		"scarce": {
			[]config.Pool{pool(config.Memcached, 200, 2, 1)},
			400,
			Descriptors{Limit: 400, Servers: 800, Own: 134, Clients: 100, Scarce: true},
			nil,
		},
		"private connections": {
			[]config.Pool{private(pool(config.Redis, 3, 1, 1), 100), private(pool(config.Memcached, 1, 1, 1), 100)},
			1000,
			Descriptors{Limit: 1000, Servers: 14, Own: 136, Private: 300, Clients: 850},
			nil,
		},
		"the nodes of a cluster, of which two are seeds": {
			[]config.Pool{pool(config.Memcached, 1, 1, 1), private(pool(config.Redis, 2, 1, 1), 10)},
			1000,
			Descriptors{Limit: 1000, Servers: 26, Own: 136, Private: 60, Clients: 838},
			[]foundServers{{}, {nodes: 6}},
		},
		"replicas that Sentinel has named": {
			[]config.Pool{private(pool(config.Redis, 2, 1, 1), 10)},
			1000,
			Descriptors{Limit: 1000, Servers: 20, Own: 134, Private: 20, Clients: 846},
			[]foundServers{{replicas: 3}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			conf := &config.Config{Process: config.Process{Threads: 2}, Pools: c.pools}
			if got := descriptorsOf(conf, c.found, c.limit); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// There is a warning where not all private connections, and a quarter of the descriptors for
// clients, would have room.
func TestDescriptorsForPrivate(t *testing.T) {
	for _, tt := range []struct {
		limit, private int
		lacks          bool
	}{{1000, 0, false}, {1000, 650, false}, {1000, 651, true}, {100, 0, false}, {100, 1, true}} {
		d := Descriptors{Limit: tt.limit, Servers: 20, Own: 80, Private: tt.private}
		if got := d.lacksPrivate(); got != tt.lacks {
			t.Errorf("%+v lacks: %t, want %t", d, got, tt.lacks)
		}
	}
}
