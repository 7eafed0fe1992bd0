package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"nuthatch/internal/hashkit"
)

// A Change is a key whose value differs between two configurations. The values
// are as a file would write them; empty means that there is none.
type Change struct {
	Key string `json:"key"`
	Old string `json:"old"`
	New string `json:"new"`
}

// PoolChanges returns the keys, other than "servers", by which the pools
// differ, in the order of the documentation. Secrets are not shown.
func PoolChanges(old, changed *Pool) []Change { return changes(nil, poolKeys, old, changed) }

// ProcessChanges is PoolChanges for the block "nuthatch:".
func ProcessChanges(old, changed *Process) []Change {
	return changes(keyPath{processBlock}, processKeys, old, changed)
}

// A Setting is a key and its value in force, as a file would write it; empty
// means that there is none.
type Setting struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	// Path leads to the key through the blocks around it, from the outermost. A block
	// of a list is called by its place there, "[0]".
	Path []string `json:"-"`
	// Default is the value that the key has if the file leaves it out.
	Default string `json:"default"`
	// Text is true if a file must quote the value.
	Text bool `json:"-"`
}

// PoolSettings returns the keys of a pool other than "servers", in the order of
// the documentation. Secrets are not shown.
func PoolSettings(p *Pool) []Setting {
	def := DefaultPool()
	if p.Protocol == Memcached {
		def.MaxRequestSize = memcachedMaxRequest
	}
	return settings(nil, poolKeys, p, &def)
}

// ProcessSettings is PoolSettings for the block "nuthatch:".
func ProcessSettings(p *Process) []Setting {
	def := DefaultProcess()
	return settings(nil, processKeys, p, &def)
}

// isSetting reports whether the key has a value of its own that can be shown and compared
// as a text.
func (k *key[T]) isSetting() bool { return k.whole == nil && (!k.kind.list || k.kind.isSetting) }

// settings are the keys of a block at a path, and their values in from.
func settings[T any](at keyPath, keys []key[T], from, def *T) []Setting {
	var all []Setting
	for _, k := range keys {
		if !k.isSetting() {
			continue
		}
		if k.blocks != nil {
			all = append(all, k.blocks.settings(at.to(k.name), from)...)
			continue
		}
		if k.onlyWith != "" && lookup(keys, k.onlyWith).text(from) != "true" {
			continue // a file with it would be refused
		}
		s := Setting{Key: at.to(k.name).String(), Path: at.to(k.name), Value: k.written(from), Text: k.kind.text}
		if !k.required {
			s.Default = k.written(def)
		}
		if k.kind.secret {
			s.Value = Secret(s.Value).String()
		}
		all = append(all, s)
	}
	return all
}

// changes are the keys of a block at a path whose values differ. old is nil if the
// block was added, changed if it was removed.
func changes[T any](at keyPath, keys []key[T], old, changed *T) []Change {
	var all []Change
	for _, k := range keys {
		if !k.isSetting() {
			continue
		}
		if k.blocks != nil {
			all = append(all, k.blocks.changes(at.to(k.name), old, changed)...)
			continue
		}
		c := Change{Key: at.to(k.name).String(), Old: k.text(old), New: k.text(changed)}
		if c.Old == c.New {
			continue
		}
		if k.kind.secret {
			c.Old, c.New = hidden(c.Old, "the old one"), hidden(c.New, "a new one")
		}
		all = append(all, c)
	}
	return all
}

// hidden stands for a secret, if there is one.
func hidden(secret, which string) string {
	if secret == "" {
		return ""
	}
	return which
}

// text is the key's value in from, as a file would write it; empty if there is
// none, or no from. A secret is not hidden.
func (k *key[T]) text(from *T) string {
	if from == nil {
		return ""
	}
	field := k.field(reflect.ValueOf(from).Elem())
	if !field.IsValid() {
		return ""
	}
	if words := k.kind.words; words != nil {
		return words[int(number(field))]
	}
	switch v := field.Interface().(type) {
	case Secret:
		return v.Reveal()
	case Address:
		switch {
		case v != (Address{}):
		case k.kind.form == kindAdmin.form || k.kind.form == kindAdminSocket.form:
			return adminOff
		default:
			return ""
		}
		return listenText(v)
	case []Address:
		return listText(v)
	case time.Duration:
		return formatDuration(v)
	case int64:
		if k.kind.form == kindSize.form {
			return formatSize(v)
		}
		return strconv.FormatInt(v, 10)
	default:
		return fmt.Sprint(v)
	}
}

// written is text. It is empty if a file can give the value only by leaving the
// key out.
func (k *key[T]) written(from *T) string {
	text := k.text(from)
	if text == "" || k.kind.list {
		return text
	}
	if _, err := k.kind.parse(k.limits, text); err != nil {
		return ""
	}
	return text
}

// number is the value of a field of any integer type.
func number(field reflect.Value) int64 {
	if field.CanInt() {
		return field.Int()
	}
	return int64(field.Uint())
}

// probe has every field set, so that what a key sets can be seen.
var probe = value{
	text: "x", number: 1, flag: true, address: Address{Path: "/"}, server: Server{Text: "x"},
	hash: hashkit.Jenkins, distribution: hashkit.Random,
}

// field is the field of in that the key sets. A row can set a key's field but
// not read it. So probe sets the key, and the field that changed is the one.
func (k *key[T]) field(in reflect.Value) reflect.Value {
	var set T
	k.set(&set, probe)
	return nonZero(reflect.ValueOf(&set).Elem(), in)
}

// nonZero returns the field of in whose counterpart in set is not zero.
func nonZero(set, in reflect.Value) reflect.Value {
	for i := range set.NumField() {
		f := set.Field(i)
		if f.IsZero() || !set.Type().Field(i).IsExported() {
			continue
		}
		if _, whole := reflect.TypeAssert[Address](f); f.Kind() == reflect.Struct && !whole {
			return nonZero(f, in.Field(i))
		}
		return in.Field(i)
	}
	return reflect.Value{}
}

// listText is a list of addresses as a file would write it; empty if there is none.
func listText(all []Address) string {
	if len(all) == 0 {
		return ""
	}
	texts := make([]string, len(all))
	for i, a := range all {
		texts[i] = strconv.Quote(a.String())
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

func listenText(a Address) string {
	if a.Mode != 0 {
		return a.String() + " 0" + strconv.FormatUint(uint64(a.Mode), 8)
	}
	return a.String()
}
