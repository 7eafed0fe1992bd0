package config

import (
	"math"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

// checkPool checks keys against each other. Each key by itself is checked by its kind of
// value (check_values.go), which its row names (poolkeys.go, processkeys.go).
func (r *reader) checkPool(b *poolBlock) {
	missing(r, &b.block, b.node, poolKeys, "every pool")
	r.checkServers(b)
	r.checkDatabases(b)
	r.checkHealthCheck(b)
	r.checkTLS(b)
	r.checkSecrets(b)
	r.checkUsers(b)
	r.checkAuthMode(b)
	r.checkSentinel(b)
	r.checkCluster(b)
	r.checkEmulate(b)
	r.checkReads(b)
	for i := range poolKeys {
		k := &poolKeys[i]
		given := b.seen[k.name]
		if k.onlyWith == "" || len(given.read) == 0 || b.seen[k.onlyWith].faulty {
			continue
		}
		if lookup(poolKeys, k.onlyWith).text(&b.pool) != "true" {
			r.fault(given.name, &b.block, k.name, "only valid in a pool with "+quote(k.onlyWith+": true"))
		}
	}
}

// leastInterval is the shortest time between two checks of a server.
const leastInterval = 10 * time.Millisecond

// checkHealthCheck finds settings of health checks that never run or run too
// often.
func (r *reader) checkHealthCheck(b *poolBlock) {
	check, given := b.seen["health_check"]
	if _, set := b.seen["health_check.interval"]; given && !check.faulty && !set {
		r.fault(check.name, &b.block, "health_check", "there are no health checks without 'interval', such as interval: 2s")
	}
	if i := b.pool.HealthCheck.Interval; i > 0 && i < leastInterval {
		r.fault(b.seen["health_check.interval"].name, &b.block, "health_check.interval",
			"expected 0 (no checks), or "+formatDuration(leastInterval)+" or more")
	}
}

// checkDatabases finds a redis_db that is not below databases.
func (r *reader) checkDatabases(b *poolBlock) {
	db := b.seen["redis_db"]
	if len(db.read) > 0 && b.pool.Databases > 1 && b.pool.RedisDB >= b.pool.Databases {
		r.fault(db.name, &b.block, "redis_db", "database "+strconv.Itoa(b.pool.RedisDB)+" is not one of the "+
			strconv.Itoa(b.pool.Databases)+" of 'databases', which begin at 0")
	}
}

// MaxServers is how many servers a pool may have: the server of a key is kept in 16
// bits.
const MaxServers = math.MaxUint16

// checkServers finds too many servers, and two of one name. Named servers may share an
// address: each has its own place on the ring.
func (r *reader) checkServers(b *poolBlock) {
	lines := b.seen["servers"].read
	if len(lines) > MaxServers {
		r.fault(lines[MaxServers], &b.block, "servers", "a pool has at most "+strconv.Itoa(MaxServers)+" servers, this one has "+
			strconv.Itoa(len(lines)))
		return
	}
	first := make(map[string]*yaml.Node, len(lines))
	for i, line := range lines {
		s := b.pool.Servers[i]
		name := s.NodeName()
		before, taken := first[name]
		if !taken {
			first[name] = line
			continue
		}
		msg := quote(line.Value) + ": the name " + quote(name) + " is taken already, by the server on line " + lineOf(before)
		if s.Name == "" {
			msg += "; a server without a name is named by its address"
		}
		r.fault(line, &b.block, "servers", msg)
	}
}
