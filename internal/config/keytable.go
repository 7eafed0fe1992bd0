package config

import (
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"nuthatch/internal/invariant"
)

// origin says where a key comes from.
type origin uint8

const (
	fromNutcracker origin = iota
	fromNuthatch
)

// key is all that is known of one key of a block that is read into a T. A key is
// written in one of these ways:
//
//	timeout: 400                  a text                   kind, set
//	servers: [a, b]               a list of texts          kind with list, set for each
//	health_check: {rise: 2}       a block                  one row for each of its keys: within
//	sentinels: [{address: a}]     a list of blocks         blocks: listOf
//	users: {alice: {ttl: 1s}}     a map, names to blocks   blocks: mapOf
//
// Blocks may stand in blocks.
type key[T any] struct {
	// name has the names of the blocks around it before it, with points between.
	name   string
	kind   kind
	limits limits // of a list of blocks or a map: how many there may be; zero: any number
	// def is the default as a file would write it; kind reads it. It is empty if there
	// is none, or if only defNote describes it.
	def string
	// defNote adds to def in the documentation.
	defNote string
	// required is true if a file without the key is at fault, or one that has the
	// block without it.
	required bool
	// needed is true if a block without the key is at fault, which a check of its own
	// reports. def holds if there is no block.
	needed bool
	// onlyWith is a key that must be true where this one is given.
	onlyWith string
	origin   origin
	// help is the documentation's text. differs is what it says about nutcracker.
	help, differs string
	set           func(into *T, v value)
	// whole reads a value that has a form of its own, and returns false if it is faulty; nil
	// otherwise. kind describes it, and it is no setting.
	whole func(r *reader, b *block, key string, val *yaml.Node) bool
	// eachFile: every file may have the key, not one of them only.
	eachFile bool
	// blocks is not nil if the value is a list of blocks or a map; kind and set
	// are then unused.
	blocks blocks[T]
}

// form is the way that the value is written in, in words.
func (k *key[T]) form() string {
	switch {
	case k.blocks == nil:
		return k.kind.form
	case k.blocks.named():
		return "blocks by name"
	}
	return "list of blocks"
}

// within makes the rows of a block that is read into a part of a T.
func within[T, B any](block string, at func(*T) *B, keys []key[B]) []key[T] {
	rows := make([]key[T], len(keys))
	for i, k := range keys {
		rows[i] = key[T]{
			name: block + "." + k.name, kind: k.kind, limits: k.limits, def: k.def, defNote: k.defNote,
			required: k.required, needed: k.needed, onlyWith: k.onlyWith, origin: k.origin, help: k.help, differs: k.differs,
		}
		if k.blocks != nil {
			rows[i].blocks = part[T, B]{k.blocks, at}
			continue
		}
		rows[i].set = func(into *T, v value) { k.set(at(into), v) }
	}
	return rows
}

// setDefaults reads every key's default into into.
func setDefaults[T any](into *T, keys []key[T]) {
	for _, k := range keys {
		if k.def == "" {
			continue
		}
		v, err := k.kind.parse(k.limits, k.def)
		invariant.Check(err == nil, "config: the default of "+k.name+" is no value of its kind")
		k.set(into, v)
	}
}

// lookup returns the row of name, or nil.
func lookup[T any](keys []key[T], name string) *key[T] {
	for i := range keys {
		if keys[i].name == name {
			return &keys[i]
		}
	}
	return nil
}

// under returns the rows of a block within a block, such as those of
// "health_check.interval" and its neighbours, without the block's name. It is nil
// if there is no such block.
func under[T any](keys []key[T], block string) []key[T] {
	var rows []key[T]
	for _, k := range keys {
		if name, ok := strings.CutPrefix(k.name, block+"."); ok {
			k.name = name
			rows = append(rows, k)
		}
	}
	return rows
}

// keyNames returns the names of keys, in the table's order. A block within the
// block has one name.
func keyNames[T any](keys []key[T]) []string {
	var names []string
	for _, k := range keys {
		name, _, _ := strings.Cut(k.name, ".")
		if len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
	}
	return names
}

// A keyPath leads to a key: the names of the blocks around it, from the outermost, and
// its own. A block of a list is called by its place: "[0]".
type keyPath []string

// to is the path to a key of the block at p.
func (p keyPath) to(key string) keyPath { return append(slices.Clip(p), strings.Split(key, ".")...) }

// entry is the path to a block of the list or map at p.
func (p keyPath) entry(name string) keyPath { return append(slices.Clip(p), name) }

// place is the name of the i-th block of a list.
func place(i int) string { return "[" + strconv.Itoa(i) + "]" }

// String is the path as messages show it: users.alice.password, sentinels[0].address.
func (p keyPath) String() string {
	var b strings.Builder
	for i, step := range p {
		if i > 0 && !strings.HasPrefix(step, "[") {
			b.WriteByte('.')
		}
		b.WriteString(step)
	}
	return b.String()
}
