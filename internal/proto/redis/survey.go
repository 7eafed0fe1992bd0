package redis

import (
	"cmp"
	"crypto/sha1" //nolint:gosec // for an identifier that has the form of Redis's
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// A Survey is what the servers of a pool say of themselves, put together as if one
// server said it. If they differ, it has the value that a client should be careful
// about: the oldest version, the smallest bound. Counts are summed. It is immutable.
type Survey struct {
	// at is when it was made, in microseconds since 1970.
	at int64
	// asked: a newer one has been asked for.
	asked atomic.Bool
	// name and version are what HELLO tells; the version is empty if no server could
	// be asked.
	name, version string
	// info and settings are by name. A field that no server told is missing.
	info, settings map[string]string
	spaces         map[int]keyspace
}

// NewSurvey puts together what servers said, at a time in microseconds since 1970.
// Those that could not be asked are nil.
func NewSurvey(said []*Said, at int64) *Survey {
	said = slices.DeleteFunc(slices.Clone(said), func(s *Said) bool { return s == nil })
	v := &Survey{at: at, name: redisName, spaces: make(map[int]keyspace)}
	v.info = merged(said, infoFields, func(s *Said) map[string]string { return s.info })
	v.settings = merged(said, settings, func(s *Said) map[string]string { return s.settings })
	// If CONFIG is not allowed, INFO has the two settings that matter most.
	for field, setting := range map[string]string{"maxmemory": "maxmemory", "maxmemory_policy": "maxmemory-policy"} {
		if value, told := v.info[field]; told && v.settings[setting] == "" {
			v.settings[setting] = value
		}
	}
	v.identify(said)
	for _, s := range said {
		for n, k := range s.spaces {
			v.spaces[n] = v.spaces[n].plus(k)
		}
	}
	return v
}

// redisName is the name of a server that is Redis.
const redisName = "redis"

// identify finds the name and the version, by HELLO if the servers know it. If they are
// of different kinds, they count as Redis, of the version that all claim.
func (v *Survey) identify(said []*Said) {
	if len(said) == 0 {
		return
	}
	version := v.info["redis_version"]
	names, versions := make([]string, len(said)), make([]string, len(said))
	for i, s := range said {
		names[i], versions[i] = s.name, s.version
		if s.name == "" { // HELLO was refused
			names[i] = cmp.Or(s.info["server_name"], redisName)
			versions[i] = cmp.Or(s.info[names[i]+"_version"], s.info["redis_version"])
		}
	}
	if name, ok := agreed(names); ok {
		v.name = name
		version, _ = oldest(versions)
	}
	v.version = version
	if _, told := v.info["redis_version"]; !told && v.name == redisName && version != "" {
		v.info["redis_version"] = version
	}
}

func (k keyspace) plus(o keyspace) keyspace {
	sum := keyspace{
		keys: capped(k.keys, o.keys), expires: capped(k.expires, o.expires), subexpiry: capped(k.subexpiry, o.subexpiry), avgTTL: k.avgTTL,
	}
	if sum.expires > 0 {
		share := float64(o.expires) / float64(sum.expires)
		sum.avgTTL = int64(float64(k.avgTTL)*(1-share) + float64(o.avgTTL)*share)
	}
	return sum
}

// capped is a + b, neither of them negative, or the largest number.
func capped(a, b int64) int64 {
	if sum := a + b; sum >= 0 {
		return sum
	}
	return 1<<63 - 1
}

// merged merges the fields of a table that the servers told.
func merged(said []*Said, table map[string]merge, of func(*Said) map[string]string) map[string]string {
	all := make(map[string]string)
	values := make([]string, 0, len(said))
	for name, merge := range table {
		values = values[:0]
		for _, s := range said {
			if value, told := of(s)[name]; told {
				values = append(values, value)
			}
		}
		if len(values) == 0 || toldByAll[name] && len(values) < len(said) {
			continue
		}
		if value, ok := merge(values); ok {
			all[name] = value
		}
	}
	return all
}

// A merge makes one value from the servers' values, of which there is at least one. If
// ok is false, no value holds for all servers.
type merge func(values []string) (value string, ok bool)

// first is the first server's.
func first(values []string) (string, bool) { return values[0], true }

// agreed is what all say.
func agreed(values []string) (string, bool) {
	for _, v := range values {
		if v != values[0] {
			return "", false
		}
	}
	return values[0], true
}

// oldest is the lowest version.
func oldest(values []string) (string, bool) {
	return slices.MinFunc(values, compareVersions), true
}

// compareVersions compares two versions number by number.
func compareVersions(a, b string) int {
	return cmp.Or(slices.Compare(numbersOf(a), numbersOf(b)), cmp.Compare(a, b))
}

// numbersOf are the numbers of a version. A number that is too large to read counts as
// the largest.
func numbersOf(version string) []uint64 {
	var all []uint64
	for part := range strings.FieldsFuncSeq(version, func(r rune) bool { return r < '0' || r > '9' }) {
		n, _ := strconv.ParseUint(part, 10, 64) // of an error the largest number comes, too
		all = append(all, n)
	}
	return all
}

// integersOf are the values that are numbers.
func integersOf(values []string) []int64 {
	all := make([]int64, 0, len(values))
	for _, v := range values {
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			all = append(all, n)
		}
	}
	return all
}

func integer64(n int64) (string, bool) { return strconv.FormatInt(n, 10), true }

// least is the smallest number, most the largest.
func least(values []string) (string, bool) {
	if all := integersOf(values); len(all) > 0 {
		return integer64(slices.Min(all))
	}
	return "", false
}

func most(values []string) (string, bool) {
	if all := integersOf(values); len(all) > 0 {
		return integer64(slices.Max(all))
	}
	return "", false
}

// sum adds counts.
func sum(values []string) (string, bool) {
	all := integersOf(values)
	total := int64(0)
	for _, n := range all {
		total = capped(total, max(n, 0))
	}
	s, _ := integer64(total)
	return s, len(all) > 0
}

// tightest is the smallest bound; 0 is none.
func tightest(values []string) (string, bool) {
	all := integersOf(values)
	bounds := slices.DeleteFunc(slices.Clone(all), func(n int64) bool { return n <= 0 })
	if len(bounds) > 0 {
		return integer64(slices.Min(bounds))
	}
	return "0", len(all) > 0
}

// decimalsOf are the values that are decimal fractions.
func decimalsOf(values []string) []float64 {
	all := make([]float64, 0, len(values))
	for _, v := range values {
		if f, err := strconv.ParseFloat(v, 64); err == nil && f-f == 0 { // neither infinite nor no number
			all = append(all, f)
		}
	}
	return all
}

func decimal(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) }

func sumOfDecimals(values []string) (string, bool) {
	all := decimalsOf(values)
	total := 0.0
	for _, f := range all {
		total += f
	}
	return decimal(total), len(all) > 0
}

func mostDecimal(values []string) (string, bool) {
	if all := decimalsOf(values); len(all) > 0 {
		return decimal(slices.Max(all)), true
	}
	return "", false
}

// unless is the value that all say, or else the first one that is not good.
func unless(good string) merge {
	return func(values []string) (string, bool) {
		for _, v := range values {
			if v != good {
				return v, true
			}
		}
		return good, true
	}
}

// nothing is what all say, or nothing at all.
func nothing(values []string) (string, bool) {
	v, _ := agreed(values)
	return v, true
}

// weaker is the first value of order that a server has.
func weaker(order ...string) merge {
	return func(values []string) (string, bool) {
		for _, v := range order {
			if slices.Contains(values, v) {
				return v, true
			}
		}
		return agreed(values)
	}
}

// cautious is for settings: the smallest of numbers, no rather than yes, and otherwise
// what all say.
func cautious(values []string) (string, bool) {
	if v, ok := agreed(values); ok {
		return v, true
	}
	if len(integersOf(values)) == len(values) {
		return least(values)
	}
	return "no", !slices.ContainsFunc(values, func(v string) bool { return v != "yes" && v != "no" })
}

// together is one identifier for all of them, of Redis's form.
func together(values []string) (string, bool) {
	if len(values) == 1 {
		return values[0], true
	}
	id := sha1.Sum([]byte(strings.Join(values, "\n"))) //nolint:gosec // see above
	return hex.EncodeToString(id[:]), true
}

// A toldField is a field of INFO that servers tell.
type toldField struct {
	name  string
	merge merge
}

// The fields of INFO that servers tell, by section.
var (
	toldVersions = []toldField{
		{"redis_version", oldest},
		{"server_name", agreed},
		{"valkey_version", oldest},
		{"valkey_release_stage", agreed},
		{"redict_version", oldest},
		{"dragonfly_version", oldest},
		{"kvrocks_version", oldest},
		{"redis_git_sha1", first},
		{"redis_git_dirty", first},
		{"redis_build_id", first},
	}
	toldServer = []toldField{
		{"os", first},
		{"arch_bits", least},
		{"multiplexing_api", first},
		{"atomicvar_api", first},
		{"gcc_version", first},
		{"run_id", together},
		{"hz", least},
		{"configured_hz", least},
	}
	toldMemory = []toldField{
		{"used_memory", sum},
		{"used_memory_rss", sum},
		{"used_memory_peak", sum},
		{"used_memory_overhead", sum},
		{"used_memory_startup", sum},
		{"used_memory_dataset", sum},
		{"total_system_memory", least},
		{"used_memory_lua", sum},
		{"used_memory_scripts", sum},
		{"number_of_cached_scripts", sum},
		{"number_of_functions", most},
		{"number_of_libraries", most},
		{"maxmemory", tightest},
		{"maxmemory_policy", unless("noeviction")},
		{"mem_fragmentation_ratio", mostDecimal},
		{"mem_fragmentation_bytes", sum},
		{"mem_not_counted_for_evict", sum},
		{"mem_clients_normal", sum},
		{"mem_allocator", first},
		{"active_defrag_running", most},
		{"lazyfree_pending_objects", sum},
		{"lazyfreed_objects", sum},
	}
	toldPersistence = []toldField{
		// While one server has its data, clients of others need not wait.
		{"loading", least},
		{"async_loading", least},
		{"rdb_changes_since_last_save", sum},
		{"rdb_bgsave_in_progress", most},
		{"rdb_last_save_time", least},
		{"rdb_last_bgsave_status", unless("ok")},
		{"rdb_last_bgsave_time_sec", most},
		{"aof_enabled", least},
		{"aof_rewrite_in_progress", most},
		{"aof_last_bgrewrite_status", unless("ok")},
		{"aof_last_write_status", unless("ok")},
	}
	toldStats = []toldField{
		{"instantaneous_ops_per_sec", sum},
		{"instantaneous_input_kbps", sumOfDecimals},
		{"instantaneous_output_kbps", sumOfDecimals},
		{"expired_keys", sum},
		{"expired_subkeys", sum},
		{"expired_stale_perc", mostDecimal},
		{"expired_time_cap_reached_count", sum},
		{"evicted_keys", sum},
		{"evicted_clients", sum},
		{"evicted_scripts", sum},
		{"total_eviction_exceeded_time", sum},
		{"current_eviction_exceeded_time", most},
		{"keyspace_hits", sum},
		{"keyspace_misses", sum},
		{"pubsub_channels", sum},
		{"pubsub_patterns", sum},
		{"latest_fork_usec", most},
		{"total_forks", sum},
	}
	toldReplication = []toldField{{"connected_slaves", least}}
	// toldRole makes the role, and is told in words of the role that the pool has.
	toldRole = []toldField{{"role", unless(replica)}, {"master_link_status", unless("up")}, {"slave_read_only", most}}
	// toldByOne are fields that only a pool of one server has.
	toldByOne = []toldField{{"master_replid", first}, {"master_repl_offset", first}}
)

// toldByAll are fields that mean something only if every server has them: what it is if
// not Redis, and whether it takes writes.
var toldByAll = map[string]bool{
	"server_name": true, "valkey_version": true, "valkey_release_stage": true, "redict_version": true, "dragonfly_version": true,
	"kvrocks_version": true, "role": true,
}

// replica is the role of a server that takes no writes, as INFO and ROLE name it.
const replica = "slave"

// isReplica reports whether the pool takes no writes: every server says that it is a
// replica. If only some do, some keys can be written.
func (v *Survey) isReplica() bool { return v != nil && v.info["role"] == replica }

// infoFields are all of them, by name.
var infoFields = func() map[string]merge {
	all := make(map[string]merge)
	for _, fields := range [][]toldField{toldVersions, toldServer, toldMemory, toldPersistence, toldStats, toldReplication, toldRole, toldByOne} {
		for _, f := range fields {
			all[f.name] = f.merge
		}
	}
	return all
}()

// identityAge is how old, in microseconds, what HELLO tells may be before the servers
// are asked anew.
const identityAge = 5e6

// identity is what HELLO says that the servers are, at a time in microseconds since
// 1970; the release is empty if no server could be asked.
func (r *rules) identity(now int64) (server, release string) {
	v := r.learned.load().survey
	if v == nil {
		return redisName, ""
	}
	if r.refresh != nil && now-v.at > identityAge && !v.asked.Swap(true) {
		v.asked.Store(r.refresh())
	}
	return v.name, v.version
}

// databasesShown are the databases with keys, in ascending order of their numbers for
// clients. If clients may choose databases, these are the servers' numbers; otherwise
// the pool's only database is 0. base is the first, n how many there are.
func (v *Survey) databasesShown(base, n int) []int {
	if n <= 1 {
		if _, has := v.spaces[base]; has {
			return []int{base}
		}
		return nil
	}
	numbers := slices.Sorted(maps.Keys(v.spaces))
	return slices.DeleteFunc(numbers, func(i int) bool { return i >= n })
}
