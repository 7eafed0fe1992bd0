package config

import (
	"bytes"
	"encoding/json"
	"regexp"

	"nuthatch/internal/hashkit"
	"nuthatch/internal/invariant"
)

// Schema returns the JSON Schema (draft 2020-12) of a configuration file, for editors
// and for checks before a file reaches a proxy. It is made from the tables of keys.
//
// A schema sees what a YAML library has read: +1 and 0x10 are numbers, True is true, and a key
// that is given twice is there once. It accepts every file that Parse accepts, except a hash_tag
// such as 01, which YAML reads as a number. Only Parse knows what depends on more than one value
// (overlapping listeners, two servers of one name), and the range of a size or a duration with a
// unit.
func Schema() []byte {
	pool, process := blockSchema(describe(poolKeys)), blockSchema(describe(processKeys))
	including := object{{processBlock, object{{"required", []string{includeKey}}}}}
	process[0].value = []string{"object", "null"} // all of its keys may be comments
	file := object{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"title", "Configuration of nuthatch"},
		{"description", "Pools by name, and under the name " + processBlock + " the settings of the whole process."},
		{"type", "object"},
		{"properties", object{{processBlock, object{{"$ref", "#/$defs/process"}}}}},
		{"additionalProperties", object{{"$ref", "#/$defs/pool"}}},
		{"propertyNames", object{{"minLength", 1}}},
		{"if", object{{"required", []string{processBlock}}}}, // there is a pool
		{"then", object{{"anyOf", []object{{{"minProperties", 2}}, {{"properties", including}}}}}},
		{"else", object{{"minProperties", 1}}},
		{"$defs", object{{"process", process}, {"pool", pool}, {defaultsRef, innerSchema(shared(describe(poolKeys)))}}},
	}
	var b bytes.Buffer
	err := json.Indent(&b, file.append(nil), "", "  ")
	invariant.Check(err == nil, "config: the schema is no JSON")
	return append(b.Bytes(), '\n')
}

// An object is a JSON object whose members keep their order.
type object []member

// A member's value is an object, or a value for encoding/json.
type member struct {
	name  string
	value any
}

func (o object) append(dst []byte) []byte {
	dst = append(dst, '{')
	for i, m := range o {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendValue(dst, m.name), ':')
		if inner, ok := m.value.(object); ok {
			dst = inner.append(dst)
			continue
		}
		dst = appendValue(dst, m.value)
	}
	return append(dst, '}')
}

// raw is an object within a list.
func raw(o object) json.RawMessage { return o.append(nil) }

// appendValue appends what encoding/json makes of v, without escapes for HTML.
func appendValue(dst []byte, v any) []byte {
	if list, ok := v.([]object); ok {
		return appendList(dst, list)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	invariant.Check(err == nil, "config: a value of the schema cannot be encoded")
	return append(dst, bytes.TrimSpace(b.Bytes())...)
}

func appendList(dst []byte, list []object) []byte {
	dst = append(dst, '[')
	for i, o := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = o.append(dst)
	}
	return append(dst, ']')
}

// blockSchema is the schema of a block with these keys. Its first member is the type.
func blockSchema(keys []description) object {
	var properties, conditions object
	var required []string
	for i := range keys {
		k := &keys[i]
		properties = append(properties, member{k.name, k.schema()})
		if k.required || k.needed {
			required = append(required, k.name)
		}
		if k.onlyWith != "" {
			is := object{{k.onlyWith, object{{"enum", []any{true, "true"}}}}}
			conditions = append(conditions, member{k.name, object{{"required", []string{k.onlyWith}}, {"properties", is}}})
		}
	}
	o := object{{"type", "object"}, {"properties", properties}, {"additionalProperties", false}}
	if required != nil {
		o = append(o, member{"required", required})
	}
	if conditions != nil {
		o = append(o, member{"dependentSchemas", conditions})
	}
	return o
}

// schema is the schema of a key's value.
func (d *description) schema() object {
	var o object
	if text := d.text(); text != "" {
		o = object{{"description", text}}
	}
	switch d.shape {
	case shapeBlock:
		return append(o, innerSchema(d.within)...)
	case shapeList:
		o = append(o, member{"type", "array"}, member{"items", innerSchema(d.within)})
		return append(o, d.count("minItems", "maxItems")...)
	case shapeMap:
		inner := innerSchema(d.within)
		if d.only {
			inner = object{{"anyOf", []any{raw(inner), raw(d.within[0].schema())}}}
		}
		o = append(o, member{"type", "object"}, member{"additionalProperties", inner},
			member{"propertyNames", object{{"pattern", `^[^\[][\s\S]*$`}}})
		return append(o, d.count("minProperties", "maxProperties")...)
	case shapeText:
	}
	if d.kind.list {
		o = append(o, member{"type", "array"}, member{"items", d.kind.schema(d.limits)}, member{"minItems", 1},
			member{"maxItems", MaxServers}, member{"uniqueItems", true})
	} else {
		o = append(o, d.kind.schema(d.limits)...)
	}
	if d.def != "" {
		o = append(o, member{"default", d.defaultValue()})
	}
	return o
}

// innerSchema is the schema of a block within a block, which cannot be empty.
func innerSchema(keys []description) object {
	return append(blockSchema(keys), member{"minProperties", 1})
}

// count says how many blocks there may be; none is a fault.
func (d *description) count(least, most string) object {
	if d.limits == (limits{}) {
		return object{{least, 1}}
	}
	return object{{least, max(d.limits.min, 1)}, {most, d.limits.max}}
}

// defaultValue is the default as a YAML library would read it.
func (d *description) defaultValue() any {
	switch d.def {
	case "true":
		return true
	case "false":
		return false
	}
	if _, ok := parseDigits(d.def); ok {
		return json.Number(d.def)
	}
	return d.def
}

// markdownLink is a relative link of the documentation, which does not work in an
// editor.
var markdownLink = regexp.MustCompile(`\[([^\]]+)\]\([^)]*\)`)

// text describes the key, its value and its default to a person.
func (d *description) text() string {
	if d.help == "" {
		return ""
	}
	text := markdownLink.ReplaceAllString(d.help, "$1")
	if d.differs != "" {
		text += "\n\nDiffers from nutcracker: " + markdownLink.ReplaceAllString(d.differs, "$1")
	}
	text += "\n\nValue: " + d.form
	if span := d.span(); span != "" {
		text += ", " + span
	}
	switch {
	case d.required:
		return text + ". Required."
	case d.def != "" && d.defNote != "":
		return text + ". Default: " + d.def + " (" + d.defNote + ")."
	case d.def != "" || d.defNote != "":
		return text + ". Default: " + d.def + d.defNote + "."
	}
	return text + "."
}

// The parts of patterns. They mean the same to Go and to JavaScript.
const (
	portPattern   = `0*[1-9][0-9]{0,4}`
	listenPattern = `/[^ ]*|/.* 0*[0-7]{1,3}|([^\s*]|\S\S+):` + portPattern
	weightPattern = `0*[1-9][0-9]{0,9}`
	serverPattern = `(/[^:]*|` + sentinelScheme + primaryPattern + `|\S+:` + portPattern + `):` + weightPattern + `( [^ ]+)?`
	digitsPattern = `[0-9]+`
	sizePattern   = `[0-9]+([kKmMgG]?[bB])?`
	// What time.ParseDuration takes.
	durationPattern = `[-+]?(0|(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)`
)

func whole(pattern string) string { return "^(" + pattern + ")$" }

// textOf is the schema of a text of some form.
func textOf(pattern string) func(limits) object {
	return func(limits) object { return object{{"type", "string"}, {"pattern", whole(pattern)}} }
}

// wordsOf is the schema of one of several words.
func wordsOf(words []string) func(limits) object {
	return func(limits) object { return object{{"type", "string"}, {"enum", words}} }
}

var (
	hashSchema         = wordsOf(hashkit.HashNames())
	distributionSchema = wordsOf(hashkit.DistributionNames())
)

// boolSchema takes the words in quotes too.
func boolSchema(limits) object {
	return object{{"type", []string{"boolean", "string"}}, {"pattern", whole("true|false")}}
}

// numberSchema takes the digits in quotes too.
func numberSchema(r limits) object {
	return object{{"type", []string{"integer", "string"}}, {"minimum", r.min}, {"maximum", r.max}, {"pattern", whole(digitsPattern)}}
}

func sizeSchema(r limits) object {
	o := numberSchema(r)
	o[3].value = whole(sizePattern)
	return o
}

// durationSchema takes the number 0, which needs no unit.
func durationSchema(r limits) object {
	pattern := member{"pattern", whole(durationPattern)}
	if r.min > 0 {
		return object{{"type", "string"}, pattern}
	}
	return object{{"type", []string{"integer", "string"}}, {"minimum", 0}, {"maximum", 0}, pattern}
}

// millisSchema takes digits and durations.
func millisSchema(r limits) object {
	o := numberSchema(r)
	o[3].value = whole(digitsPattern + "|" + durationPattern)
	return o
}

// secretSchema takes what YAML reads as something else: its text is meant.
func secretSchema(limits) object {
	return object{{"type", []string{"string", "number", "boolean", "null"}}, {"minLength", 1}}
}

// hashTagSchema takes two bytes: two letters of ASCII, two digits, or one other letter.
func hashTagSchema(limits) object {
	oneDigit := object{{"type", "integer"}, {"minimum", 0}, {"maximum", 9}}
	return object{
		{"type", []string{"string", "integer"}},
		{"minimum", -9},
		{"maximum", 99},
		{"not", oneDigit},
		{"pattern", `^([\x01-\x7f]{2}|[^\x00-\x7f])$`},
	}
}
