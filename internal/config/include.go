package config

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	// maxIncludeDepth is how many files deep files may include others.
	maxIncludeDepth = 8
	// maxIncluded is how many files may be included.
	maxIncluded = 1024
)

// kindInclude is a path or a pattern of paths, or a list of them.
var kindInclude = kind{form: "path or list of paths", entry: "the path of a file, or a pattern such as conf.d/*.yml", schema: includeSchema}

func includeSchema(limits) object {
	path := object{{"type", "string"}, {"minLength", 1}}
	return object{{"oneOf", []object{path, {{"type", "array"}, {"minItems", 1}, {"items", path}}}}}
}

// includeKey is the name of the key within the block "nuthatch:".
const includeKey = "include"

// An inclusion is what a file includes, directly or by another file.
type inclusion struct {
	// files are the paths of the files by what they are, the first included.
	files map[string]string
	// open are the files whose includes are being read, from the outermost.
	open []string
	// size is the bytes of all files together.
	size int
	// patterns are as in Config.Includes.
	patterns []string
}

func newInclusion(path string) *inclusion {
	return &inclusion{files: map[string]string{identity(path): path}, open: []string{path}}
}

// identity is the same for all paths of a file.
func identity(path string) string {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	return path
}

// pairs are the keys and values of a mapping; none if the node is something else.
func pairs(node *yaml.Node) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(*yaml.Node, *yaml.Node) bool) {
		if node == nil || node.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(node.Content); i += 2 {
			if !yield(node.Content[i], node.Content[i+1]) {
				return
			}
		}
	}
}

// sourceOf is the included file that a node is from; empty: it is from the file itself.
// A comment's place has it, since nothing else reads comments, and a copy of the node
// keeps it. decode takes the comments out.
func sourceOf(node *yaml.Node) string { return node.HeadComment }

func setSource(node *yaml.Node, file string) {
	node.HeadComment = file
	for _, inner := range node.Content {
		setSource(inner, file)
	}
}

// withIncluded returns the root of the file and those of all files that it includes.
func (r *reader) withIncluded(root *yaml.Node) []*yaml.Node {
	return r.follow(root, []*yaml.Node{root})
}

// follow appends to docs the roots of the files that a file includes.
func (r *reader) follow(root *yaml.Node, docs []*yaml.Node) []*yaml.Node {
	for name, body := range pairs(root) {
		if name.Value != processBlock || name.Kind != yaml.ScalarNode {
			continue
		}
		for key, val := range pairs(body) {
			if key.Value != includeKey || key.Kind != yaml.ScalarNode {
				continue
			}
			items := []*yaml.Node{val}
			if val.Kind == yaml.SequenceNode {
				items = val.Content
			}
			for _, item := range items {
				docs = r.include(item, docs)
			}
		}
	}
	return docs
}

// isInclude checks the value of the key; the files have been read by then.
func isInclude(r *reader, b *block, key string, val *yaml.Node) bool {
	if !r.isPlain(val, b, key) {
		return false
	}
	items := []*yaml.Node{val}
	if val.Kind == yaml.SequenceNode {
		items = val.Content
	}
	for _, item := range items {
		if !r.isPlain(item, b, key) {
			return false
		}
		if item.Kind != yaml.ScalarNode || item.Value == "" {
			r.fault(item, b, key, "expected "+kindInclude.entry)
			return false
		}
	}
	if len(items) == 0 {
		r.fault(val, b, key, "expected a "+kindInclude.form+", found an empty list")
	}
	return len(items) > 0
}

// include appends to docs the roots of the files that one entry names.
func (r *reader) include(at *yaml.Node, docs []*yaml.Node) []*yaml.Node {
	if at.Kind != yaml.ScalarNode || at.Value == "" || at.Anchor != "" {
		return docs // which isInclude reports
	}
	in, b := r.included, &block{prefix: processBlock + "."}
	if in == nil {
		r.fault(at, b, includeKey, "a configuration that is not read from a file includes none; write all of it in one text")
		return docs
	}
	if len(in.open) > maxIncludeDepth {
		r.fault(at, b, includeKey, fmt.Sprintf("files include each other more than %d deep: %s", maxIncludeDepth, strings.Join(in.open, " > ")))
		return docs
	}
	pattern := at.Value
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(filepath.Dir(in.open[len(in.open)-1]), pattern)
	}
	if absolute, err := filepath.Abs(pattern); err == nil {
		in.patterns = append(in.patterns, absolute)
	}
	paths, err := Matches(pattern)
	if err != nil {
		r.fault(at, b, includeKey, quote(at.Value)+": "+err.Error())
		return docs
	}
	if len(paths) == 0 {
		r.warn(at, b, includeKey, "no file matches "+quote(at.Value))
	}
	for _, path := range paths {
		if docs, err = r.read(path, docs); err != nil {
			r.fault(at, b, includeKey, err.Error())
		}
	}
	return docs
}

// read appends to docs the root of the file at path and those of what it includes. The
// error has a fault of the file's place, not of its content.
func (r *reader) read(path string, docs []*yaml.Node) ([]*yaml.Node, error) {
	in, id := r.included, identity(path)
	if first, twice := in.files[id]; twice {
		if slices.ContainsFunc(in.open, func(p string) bool { return identity(p) == id }) {
			return docs, fmt.Errorf("%s includes itself: %s > %s", first, strings.Join(in.open, " > "), path)
		}
		return docs, fmt.Errorf("%s is included already", path)
	}
	if len(in.files) > maxIncluded {
		return docs, fmt.Errorf("more than %d files are included", maxIncluded)
	}
	in.files[id] = path
	text, err := readFile(path)
	if err != nil {
		return docs, reasonOf(path, err)
	}
	if in.size += len(text); in.size > maxFileSize {
		return docs, fmt.Errorf("the included files are larger than %d bytes together", maxFileSize)
	}
	root, fault := decode(path, text)
	if fault != nil {
		r.errs = append(r.errs, fault)
		return docs, nil
	}
	if root == nil || isEmpty(root) {
		return docs, nil
	}
	setSource(root, path)
	if !r.isPlain(root, nil, "") {
		return docs, nil
	}
	if root.Kind != yaml.MappingNode {
		r.fault(root, nil, "", "expected pools, each a name with its keys indented below")
		return docs, nil
	}
	in.open = append(in.open, path)
	docs = r.follow(root, append(docs, root))
	in.open = in.open[:len(in.open)-1]
	return docs, nil
}

// reasonOf is an error of the file system without the operation.
func reasonOf(path string, err error) error {
	if inner, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s cannot be read: %w", path, inner.Err)
	}
	return err
}

// Matches returns the files of an entry of Config.Includes, by name: those that match the
// pattern, without hidden ones, or the path itself if it is no pattern.
func Matches(pattern string) ([]string, error) {
	if !strings.ContainsAny(pattern, `*?[`) {
		return []string{pattern}, nil
	}
	found, err := filepath.Glob(pattern)
	if err != nil {
		return nil, errors.New("it is no pattern: a bracket is not closed, or the last character is a backslash")
	}
	return slices.DeleteFunc(found, func(path string) bool {
		info, err := os.Stat(path)
		return strings.HasPrefix(filepath.Base(path), ".") || err == nil && info.IsDir()
	}), nil
}

// Files are the paths of the files that a configuration includes now, and its patterns
// themselves, which name the folders that may get more.
func (c *Config) Files() []string {
	var all []string
	for _, pattern := range c.Includes {
		paths, _ := Matches(pattern)
		all = append(all, paths...)
		if !slices.Contains(paths, pattern) {
			all = append(all, pattern)
		}
	}
	return all
}

// IncludedBy are the files that the file at path includes, as Config.Files has them, also if
// its configuration is at fault.
func IncludedBy(path string) []string {
	in := newInclusion(path)
	if text, err := readMain(path); err == nil {
		_, _ = parse(path, text, in) // faults are told by who loads it
	}
	return (&Config{Includes: in.patterns}).Files()
}

// TextOf is the text of the file at path with what it includes, for a reader that has not
// these files. The text is the file's own if it includes nothing.
func TextOf(path string) ([]byte, error) {
	text, err := readMain(path)
	if err != nil {
		return nil, err
	}
	r := &reader{file: path, included: newInclusion(path)}
	root, fault := decode(path, text)
	if fault != nil || root == nil || root.Kind != yaml.MappingNode {
		return text, nil // whoever reads it tells the fault
	}
	docs := r.withIncluded(root)
	switch {
	case len(r.errs) > 0:
		return nil, r.errs.sorted(path)
	case len(r.included.patterns) == 0:
		return text, nil
	}
	whole := &yaml.Node{Kind: yaml.MappingNode}
	process := &yaml.Node{Kind: yaml.MappingNode}
	for _, doc := range docs {
		for name, body := range pairs(doc) {
			if name.Value != processBlock {
				whole.Content = append(whole.Content, name, body)
				continue
			}
			for key, val := range pairs(body) {
				if key.Value != includeKey {
					process.Content = append(process.Content, key, val)
				}
			}
		}
	}
	if len(process.Content) > 0 {
		whole.Content = append(whole.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: processBlock}, process)
	}
	setSource(whole, "")
	return yaml.Marshal(whole)
}
