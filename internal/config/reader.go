package config

import (
	"cmp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// reader turns nodes into a Config and gathers every fault on the way.
type reader struct {
	file string
	// included are the files that the file includes; nil: it cannot include any.
	included *inclusion
	defaults *defaults // of pools
	keys     []string  // ownKeys
	process  *Process
	errs     Errors
	warnings Errors
	blocks   []*block // pools, "nuthatch:", and the entries of lists and maps of blocks
	pools    []*poolBlock
	// ours: the file has a key that nutcracker does not have.
	ours bool
	// admin is where the admin listener's address is written, or nil.
	admin, adminSocket *yaml.Node
}

// block is a mapping of keys that is being read.
type block struct {
	pool   string // the pool's name, or empty
	prefix string // goes before a key's name in messages
	entry  bool   // of a list or map of blocks: it is called by its prefix
	// seen are the keys that the block has, misspelt ones included.
	seen map[string]seenKey
}

// seenKey is a key that a block has.
type seenKey struct {
	name *yaml.Node
	// read are the values that could be read: one, or each of a list.
	read []*yaml.Node
	// faulty is true if some value could not be read.
	faulty bool
	// guessed is true if name is a misspelling of the key.
	guessed bool
	// secret is true if the value is not to be shown.
	secret bool
}

// poolBlock is a pool with what the checks across keys and pools need.
type poolBlock struct {
	block
	pool Pool
	node *yaml.Node // the pool's name
}

// fault records an error at node. key may be empty.
func (r *reader) fault(node *yaml.Node, b *block, key, msg string) {
	r.errs = append(r.errs, r.errorAt(node, b, key, msg))
}

func (r *reader) errorAt(node *yaml.Node, b *block, key, msg string) *Error {
	e := &Error{File: cmp.Or(sourceOf(node), r.file), Line: node.Line, Column: node.Column, Key: key, Msg: msg}
	if b != nil {
		e.Pool = b.pool
		switch {
		case key != "":
			e.Key = b.prefix + key
		case b.entry:
			e.Key = strings.TrimSuffix(b.prefix, ".")
		}
	}
	return e
}

// readFile reads the whole document. The result is valid only if there was no fault.
func (r *reader) readFile(root *yaml.Node) *Config {
	const expected = "expected pools, each a name with its keys indented below"
	cfg := &Config{File: r.file, Process: DefaultProcess()}
	r.process = &cfg.Process
	switch {
	case root == nil || isEmpty(root):
		r.fault(&yaml.Node{Line: 1}, nil, "", "the file has no pools; "+expected)
		return nil
	case !r.isPlain(root, nil, ""):
		return nil
	case root.Kind != yaml.MappingNode:
		r.fault(root, nil, "", expected)
		return nil
	}
	docs := r.withIncluded(root)
	r.readProcess(docs, &cfg.Process)
	names := make(map[string]*yaml.Node)
	for _, doc := range docs {
		for name, body := range pairs(doc) {
			if name.Value != processBlock && r.checkName(name, names) {
				r.readPool(name, body)
			}
		}
	}
	if len(names) == 0 && len(r.errs) == 0 {
		r.fault(root, nil, "", "the file has no pools; "+expected)
	}
	r.checkListens(&cfg.Process)
	r.checkServerNames()
	for _, p := range r.pools {
		p.pool.Reads.Zone = cfg.Process.Zone
		cfg.Pools = append(cfg.Pools, p.pool)
	}
	if len(r.errs) == 0 {
		cfg.Warnings = r.findWarnings() // before the servers have another order than their lines
	}
	sortPools(cfg.Pools)
	cfg.sources = r.sources()
	if r.included != nil {
		cfg.Includes = r.included.patterns
	}
	return cfg
}

// checkName checks a top-level name and enters it into names. It reports false
// if what is below cannot be read.
func (r *reader) checkName(name *yaml.Node, names map[string]*yaml.Node) bool {
	if !r.isPlain(name, nil, "") {
		return false
	}
	if name.Kind != yaml.ScalarNode || name.Value == "" {
		r.fault(name, nil, "", "expected a pool's name")
		return false
	}
	if first, twice := names[name.Value]; twice {
		r.fault(name, nil, "", "the name "+quoteKey(name.Value)+" is taken already, on line "+lineOf(first))
		return true
	}
	names[name.Value] = name
	return true
}

// readProcess reads the blocks "nuthatch:" of all files into p: each key may be in one of
// them.
func (r *reader) readProcess(docs []*yaml.Node, p *Process) {
	b := &block{prefix: processBlock + ".", seen: make(map[string]seenKey)}
	found := false
	for _, doc := range docs {
		names := make(map[string]*yaml.Node)
		for name, body := range pairs(doc) {
			if name.Value != processBlock {
				continue
			}
			if _, twice := names[name.Value]; !r.checkName(name, names) || twice {
				continue
			}
			if !found {
				found, r.ours = true, true
				r.blocks = append(r.blocks, b)
			}
			r.readProcessBlock(b, name, body, p)
		}
	}
	if found {
		r.checkProcess(b, p)
	}
}

func (r *reader) readProcessBlock(b *block, name, body *yaml.Node, p *Process) {
	if isEmpty(body) || !r.isPlain(body, b, "") {
		return
	}
	if body.Kind != yaml.MappingNode {
		r.fault(name, nil, processBlock, "expected process-wide settings, indented below")
		return
	}
	readBlock(r, b, body, p, processKeys, func(word string) string {
		if lookup(poolKeys, word) != nil {
			return "is a pool's key, and " + quote(processBlock) +
				" is reserved for process-wide settings; no pool can have that name"
		}
		return ""
	})
}

// looksLikePool reports whether body has what only pools need.
func looksLikePool(body *yaml.Node) bool {
	return body.Kind == yaml.MappingNode && slices.ContainsFunc(body.Content, func(n *yaml.Node) bool {
		return n.Value == "listen" || n.Value == "servers"
	})
}

func (r *reader) readPool(name, body *yaml.Node) {
	b := &poolBlock{
		block: block{pool: name.Value, seen: make(map[string]seenKey)},
		pool:  DefaultPool(),
		node:  name,
	}
	b.pool.Name = name.Value
	if lookup(processKeys, name.Value) != nil && !looksLikePool(body) {
		r.fault(name, nil, name.Value, "no pool, but a process-wide setting: indent it below the top-level name "+quote(processBlock))
		return
	}
	r.blocks = append(r.blocks, &b.block)
	if !r.isPlain(body, &b.block, "") {
		return
	}
	if body.Kind != yaml.MappingNode {
		msg := "expected the pool's keys, indented below its name"
		if lookup(poolKeys, name.Value) != nil {
			msg += "; " + quote(name.Value) + " is a pool's key: is it indented too little?"
		}
		r.fault(name, &b.block, "", msg)
		return
	}
	readBlock(r, &b.block, r.defaults.addTo(body), &b.pool, poolKeys, func(word string) string {
		if lookup(processKeys, word) != nil {
			return "belongs under the top-level name " + quote(processBlock)
		}
		return ""
	})
	if _, given := b.seen["max_request_size"]; !given && b.pool.Protocol == Memcached {
		b.pool.MaxRequestSize = memcachedMaxRequest
	}
	r.checkPool(b)
	if b.pool.Cluster.On && b.pool.HashTag == "" {
		b.pool.HashTag = clusterTag
	}
	r.pools = append(r.pools, b)
}

// readBlock reads a mapping's keys into into. misplaced may have a better
// reason why a key is unknown.
func readBlock[T any](r *reader, b *block, body *yaml.Node, into *T, keys []key[T], misplaced func(string) string) {
	for i := 0; i+1 < len(body.Content); i += 2 {
		name, val := body.Content[i], body.Content[i+1]
		if !r.isPlain(name, b, "") {
			continue
		}
		if name.Kind != yaml.ScalarNode {
			r.fault(name, b, "", "expected the name of a key")
			continue
		}
		if sub := under(keys, name.Value); sub != nil {
			readNested(r, b, name, val, into, sub)
			continue
		}
		k := lookup(keys, name.Value)
		if k == nil {
			r.unknownKey(b, name, keyNames(keys), misplaced(name.Value))
			continue
		}
		if block, inner, within := strings.Cut(k.name, "."); within {
			r.unknownKey(b, name, nil, "is written as a block: "+block+": with "+inner+": indented below it")
			continue
		}
		first, twice := b.seen[k.name]
		if twice && !first.guessed && (!k.eachFile || sourceOf(first.name) == sourceOf(name)) {
			r.fault(name, b, k.name, "given twice; the first is on line "+lineOf(first.name))
			continue
		}
		r.ours = r.ours || k.origin == fromNuthatch
		seen := seenKey{name: name, secret: k.kind.secret}
		switch {
		case k.whole != nil:
			seen.faulty = !k.whole(r, b, k.name, val)
		case k.blocks != nil:
			seen.faulty = !readBlocks(r, b, k, into, val)
			seen.read = entries(k.blocks.named(), val)
		default:
			seen.read, seen.faulty = readKey(r, b, k, into, val)
		}
		b.seen[k.name] = seen
	}
}

// readNested reads a key whose value is a mapping of keys of its own.
func readNested[T any](r *reader, b *block, name, body *yaml.Node, into *T, keys []key[T]) {
	if first, twice := b.seen[name.Value]; twice && !first.guessed {
		r.fault(name, b, name.Value, "given twice; the first is on line "+lineOf(first.name))
		return
	}
	b.seen[name.Value] = seenKey{name: name, faulty: true}
	if !r.hasKeys(body, b, name.Value, keyNames(keys)) {
		return
	}
	inner := &block{pool: b.pool, prefix: b.prefix + name.Value + ".", seen: make(map[string]seenKey)}
	readBlock(r, inner, body, into, keys, nowhere)
	missing(r, inner, name, keys, quote(name.Value))
	b.seen[name.Value] = seenKey{name: name}
	for within, seen := range inner.seen {
		b.seen[name.Value+"."+within] = seen
	}
}

// nowhere is for keys that no other block has.
func nowhere(string) string { return "" }

// missing finds the keys that a block needs and does not have. node is where the block
// begins, and who is what needs them. Blocks within it are checked by themselves. A block
// that merges another one has been told that it cannot.
func missing[T any](r *reader, b *block, node *yaml.Node, keys []key[T], who string) {
	if b.has("<<") {
		return
	}
	for i := range keys {
		k := &keys[i]
		if _, seen := b.seen[k.name]; k.required && !seen && !strings.Contains(k.name, ".") {
			r.fault(node, b, k.name, "missing; "+who+" needs it ("+k.form()+")")
		}
	}
}

// unknownKey reports a key that is in no table. The key that was likely meant
// counts as seen, so that a misspelling is not reported as a missing key too.
func (r *reader) unknownKey(b *block, name *yaml.Node, names []string, misplaced string) {
	msg, key := "unknown key", strings.Trim(quoteKey(name.Value), "'")
	if name.Value == "<<" {
		key = name.Value
		b.seen[key] = seenKey{name: name, faulty: true}
		msg = "YAML's merge keys are not supported: repeat the settings, or say them once in 'nuthatch: pool_defaults'"
	} else if misplaced != "" {
		msg += "; it " + misplaced
	} else if clause, s := r.meant(b, name.Value, names); clause != "" {
		msg += "; " + clause
		b.guess(name, s)
	} else if s := suggest(name.Value, names); s != "" {
		msg += "; did you mean " + quote(s) + "?"
		b.guess(name, s)
	} else {
		msg += expected(names)
	}
	r.fault(name, b, key, msg)
}

// guess counts a key of the block as seen that was likely meant by name.
func (b *block) guess(name *yaml.Node, key string) {
	if _, seen := b.seen[key]; !seen && key != "" {
		b.seen[key] = seenKey{name: name, faulty: true, guessed: true}
	}
}

// readKey reads one key's value or values into into. It returns the nodes that
// it could read, and whether there was any that it could not.
func readKey[T any](r *reader, b *block, k *key[T], into *T, val *yaml.Node) (read []*yaml.Node, faulty bool) {
	items := []*yaml.Node{val}
	if k.kind.many && val.Kind == yaml.SequenceNode {
		return readMany(r, b, k, into, val)
	}
	if k.kind.list {
		if !r.isPlain(val, b, k.name) {
			return nil, true
		}
		if val.Kind != yaml.SequenceNode || len(val.Content) == 0 {
			r.fault(val, b, k.name, "expected a "+k.kind.form+", each on a line that begins with '- '")
			return nil, true
		}
		items = val.Content
	}
	for _, item := range items {
		if readScalar(r, b, k, into, item) {
			read = append(read, item)
		}
	}
	return read, len(read) < len(items)
}

// readMany reads a list of texts that stands for one text.
func readMany[T any](r *reader, b *block, k *key[T], into *T, list *yaml.Node) (read []*yaml.Node, faulty bool) {
	if !r.isPlain(list, b, k.name) {
		return nil, true
	}
	if len(list.Content) == 0 {
		r.fault(list, b, k.name, "expected "+k.kind.form+", found an empty list")
		return nil, true
	}
	var texts []string
	var one T
	for _, item := range list.Content {
		if readScalar(r, b, k, &one, item) {
			texts = append(texts, item.Value)
		}
	}
	if len(texts) < len(list.Content) {
		return nil, true
	}
	whole := *list
	whole.Kind, whole.Value, whole.Content = yaml.ScalarNode, strings.Join(texts, ", "), nil
	if !readScalar(r, b, k, into, &whole) {
		return nil, true
	}
	return []*yaml.Node{&whole}, false
}

// readScalar reads a single value and reports whether it could.
func readScalar[T any](r *reader, b *block, k *key[T], into *T, val *yaml.Node) bool {
	if !r.isPlain(val, b, k.name) {
		return false
	}
	if val.Kind != yaml.ScalarNode || val.Value == "" {
		msg := "expected one value: " + k.kind.form
		if k.kind.list {
			msg = "expected " + k.kind.entry
		}
		if val.Kind == yaml.ScalarNode {
			msg += ", found nothing"
		}
		if k.kind.example != "" {
			msg += "; write " + k.kind.example + ", with its quotes"
		}
		r.fault(val, b, k.name, msg)
		return false
	}
	v, err := k.kind.parse(k.limits, val.Value)
	if err != nil {
		r.fault(val, b, k.name, k.noLimit(val.Value, err).Error())
		return false
	}
	k.set(into, v)
	return true
}

// isPlain reports whether node is free of YAML's anchors, aliases and tags,
// which a configuration has no use for, and records a fault if not. A nuthatch
// file stays readable line by line. The message does not repeat their names,
// which may be a password's beginning.
func (r *reader) isPlain(node *yaml.Node, b *block, key string) bool {
	switch {
	case node.Kind == yaml.AliasNode:
		r.fault(node, b, key, "YAML aliases are not supported; quote a value that begins with '*'")
	case node.Anchor != "" && node.Kind != yaml.ScalarNode:
		r.fault(node, b, key, "YAML anchors are not supported: repeat the settings where they are needed, or say them once in 'nuthatch: pool_defaults'")
	case node.Anchor != "":
		r.fault(node, b, key, "YAML anchors are not supported; quote a value that begins with '&'")
	case node.Style&yaml.TaggedStyle != 0:
		r.fault(node, b, key, "YAML tags are not supported; quote a value that begins with '!'")
	default:
		return true
	}
	return false
}

// isEmpty reports whether a value was left out.
func isEmpty(node *yaml.Node) bool {
	return node.Kind == 0 || node.Kind == yaml.ScalarNode && node.Value == "" && node.Style == 0 && node.Anchor == ""
}

// fewKeys is how many keys a message lists.
const fewKeys = 16

// expected says which keys there are, or where to find them all.
func expected(names []string) string {
	if len(names) > fewKeys {
		return "; nuthatch.yml(5) and CONFIGURATION.md have all keys"
	}
	return ", expected one of " + strings.Join(names, ", ")
}
