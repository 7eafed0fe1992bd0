package config

import (
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// kindDefaults describes the block of the keys that pools have if they do not say otherwise.
var kindDefaults = kind{form: "keys of pools", schema: defaultsSchema}

// defaultsRef is where the schema has the keys that pools can share.
const defaultsRef = "defaults"

func defaultsSchema(limits) object { return object{{"$ref", "#/$defs/" + defaultsRef}} }

// shared are the descriptions of the keys that pools can share, without conditions on others.
func shared(keys []description) []description {
	var all []description
	for i := range keys {
		if !keys[i].required {
			all = append(all, keys[i])
			all[len(all)-1].onlyWith = ""
		}
	}
	return all
}

// defaults are what "pool_defaults:" has for every pool.
type defaults struct {
	body  *yaml.Node
	names map[*yaml.Node]bool // of its keys, and of those of blocks in it
}

// rivals are keys that exclude each other: a pool that has one of them takes none of the
// others from the defaults.
var rivals = [][]string{
	{"redis_auth", "redis_auth_file", "redis_auth_env"},
	{"redis_auth_previous", "redis_auth_previous_file", "redis_auth_previous_env"},
	{"server_password", "server_password_file", "server_password_env"},
	{"sentinel_password", "sentinel_password_file", "sentinel_password_env"},
	{"acl_file", "users"},
}

// readDefaults reads the block by itself, so that each of its faults is told once. Pools are
// read with what has none.
func readDefaults(r *reader, b *block, key string, body *yaml.Node) bool {
	if !r.hasKeys(body, b, key, defaultNames()) {
		return false
	}
	faults := len(r.errs)
	shared := *body
	shared.Content = nil
	for name, val := range pairs(body) {
		if k := lookup(poolKeys, name.Value); k != nil && !k.mayBeDefault() {
			r.fault(name, b, key+"."+k.name, "each pool has its own")
			continue
		}
		shared.Content = append(shared.Content, name, val)
	}
	inner := &block{prefix: b.prefix + key + ".", seen: make(map[string]seenKey)}
	pool := DefaultPool()
	readBlock(r, inner, &shared, &pool, poolKeys, nowhere)
	r.defaults = soundDefaults(inner, &shared)
	return len(r.errs) == faults
}

// soundDefaults are the keys of body, which was read as b, that have no fault. A block is left
// out whole if one of its keys has one.
func soundDefaults(b *block, body *yaml.Node) *defaults {
	d := &defaults{names: make(map[*yaml.Node]bool)}
	sound := func(path string, name *yaml.Node) bool { return b.seen[path].name == name && !b.seen[path].faulty }
	whole := *body
	whole.Content = nil
	for name, val := range pairs(body) {
		if !sound(name.Value, name) {
			continue
		}
		within := []*yaml.Node{name}
		if under(poolKeys, name.Value) != nil {
			for inner := range pairs(val) {
				if !sound(name.Value+"."+inner.Value, inner) {
					within = nil
					break
				}
				within = append(within, inner)
			}
		}
		if within != nil {
			whole.Content = append(whole.Content, name, val)
		}
		for _, n := range within {
			d.names[n] = true
		}
	}
	d.body = &whole
	return d
}

// mayBeDefault reports whether pools can share the key's value.
func (k *key[T]) mayBeDefault() bool { return !k.required }

func defaultNames() []string {
	return slices.DeleteFunc(keyNames(poolKeys), func(name string) bool {
		k := lookup(poolKeys, name)
		return k != nil && !k.mayBeDefault()
	})
}

// addTo returns a pool's mapping with the defaults that it does not say otherwise and that
// are valid in it. A block is completed key by key; a list, and blocks by name, are taken whole.
func (d *defaults) addTo(pool *yaml.Node) *yaml.Node {
	if d == nil {
		return pool
	}
	has := make(map[string]*yaml.Node)
	for name, val := range pairs(pool) {
		has[name.Value] = val
	}
	whole := *pool
	whole.Content = slices.Clone(pool.Content)
	for name, val := range pairs(d.body) {
		own := has[name.Value]
		switch {
		case own == nil:
			if d.isFor(has, name.Value) {
				whole.Content = append(whole.Content, name, val)
			}
		case own.Kind == yaml.MappingNode && under(poolKeys, name.Value) != nil:
			i := slices.Index(whole.Content, own)
			whole.Content[i] = completed(own, val)
		}
	}
	return &whole
}

// completed is a block with the keys of another one that it does not have.
func completed(block, with *yaml.Node) *yaml.Node {
	whole := *block
	whole.Content = slices.Clone(block.Content)
	for name, val := range pairs(with) {
		i := slices.IndexFunc(block.Content, func(n *yaml.Node) bool { return n.Value == name.Value })
		if i < 0 || i%2 != 0 {
			whole.Content = append(whole.Content, name, val)
		}
	}
	return &whole
}

// isFor reports whether a default is valid in a pool that has these keys.
func (d *defaults) isFor(has map[string]*yaml.Node, name string) bool {
	for _, group := range rivals {
		if slices.Contains(group, name) && slices.ContainsFunc(group, func(other string) bool { return has[other] != nil }) {
			return false
		}
	}
	k := lookup(poolKeys, name)
	return k == nil || k.onlyWith == "" || d.value(has, k.onlyWith) == "true" && d.isFor(has, k.onlyWith)
}

// value is the text of a key in a pool: its own, or that of the defaults.
func (d *defaults) value(has map[string]*yaml.Node, key string) string {
	if own := has[key]; own != nil {
		return own.Value
	}
	for name, val := range pairs(d.body) {
		if name.Value == key {
			return val.Value
		}
	}
	return ""
}

// A Source is where a setting's value was written.
type Source struct {
	File string
	Line int
	// Default: it stands below pool_defaults.
	Default bool
}

// String is "FILE:LINE", and says if it is a default of pools; empty if there is no source.
func (s Source) String() string {
	if s.File == "" {
		return ""
	}
	at := s.File + ":" + strconv.Itoa(s.Line)
	if s.Default {
		at += " (pool_defaults)"
	}
	return at
}

// settingAt is a key of a pool, or of the process if there is no pool.
type settingAt struct{ pool, key string }

// sources finds where every setting was written.
func (r *reader) sources() map[settingAt]Source {
	all := make(map[settingAt]Source)
	for _, b := range r.blocks {
		for key, seen := range b.seen {
			if len(seen.read) == 0 {
				continue
			}
			s := Source{File: sourceOf(seen.name), Line: seen.name.Line, Default: r.defaults != nil && r.defaults.names[seen.name]}
			if s.File == "" {
				s.File = r.file
			}
			all[settingAt{b.pool, b.prefix + key}] = s
		}
	}
	return all
}

// SourceOf says where the value of a pool's setting was written, or, without a pool, of one
// of the process; key is as in Setting.Key. It is zero if it is the key's own default.
func (c *Config) SourceOf(pool, key string) Source {
	if pool == "" {
		key = processBlock + "." + key
	}
	return c.sources[settingAt{pool, key}]
}

// PlaceOf is SourceOf to begin an error with; empty if it is not known.
func (c *Config) PlaceOf(pool, key string) string {
	if at := c.SourceOf(pool, key).String(); at != "" {
		return at + ": "
	}
	return ""
}
