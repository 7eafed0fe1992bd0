package config

import "strings"

// A description is a row of a table without its functions, for the
// documentation and the JSON Schema.
type description struct {
	name, form, def, defNote, help, differs string

	kind     kind
	limits   limits
	required bool
	needed   bool
	onlyWith string
	origin   origin
	whole    bool // the value has a form of its own
	// within are the keys of a block, or of each block of a list or a map.
	within []description
	shape  shape
	// only: the value of the only key may stand in place of the block.
	only bool
}

// A shape is how a value is put together.
type shape uint8

const (
	shapeText shape = iota // or a list of texts, if the kind has list
	shapeBlock
	shapeList // of blocks
	shapeMap  // of names to blocks
)

// describe describes a table's rows, those of a block within it in a description of
// the block's.
func describe[T any](keys []key[T]) []description {
	var all []description
	for i := 0; i < len(keys); {
		k := &keys[i]
		if block, _, within := strings.Cut(k.name, "."); within {
			rows := under(keys, block)
			all = append(all, description{name: block, shape: shapeBlock, within: describe(rows)})
			i += len(rows)
			continue
		}
		all = append(all, k.describe())
		i++
	}
	return all
}

func (k *key[T]) describe() description {
	d := description{
		name: k.name, form: k.form(), def: k.def, defNote: k.defNote, help: k.help, differs: k.differs,
		kind: k.kind, limits: k.limits, required: k.required, needed: k.needed, onlyWith: k.onlyWith, origin: k.origin, whole: k.whole != nil,
	}
	if k.blocks == nil {
		return d
	}
	d.within, d.shape, d.only = k.blocks.describe(), shapeList, k.blocks.only() != ""
	if k.blocks.named() {
		d.shape = shapeMap
	}
	return d
}

// span describes the limits; empty if there are none.
func (d *description) span() string {
	switch {
	case d.shape != shapeText && d.limits != (limits{}):
		return numberSpan(d.limits) + " entries"
	case d.shape == shapeText && d.kind.span != nil:
		return d.kind.span(d.limits)
	}
	return ""
}
