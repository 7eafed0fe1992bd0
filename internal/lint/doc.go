// Package lint holds the architecture as a test: which package may import
// which, and why not; what the data path may not do; how long files and
// functions may grow. It has no code of its own to run.
//
// The tables are in layers_test.go and rules_test.go. A new package needs a
// level in the first before the tests pass; a new reason belongs into the
// second, as a sentence that whoever trips over it can act on.
package lint
