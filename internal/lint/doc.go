// Package lint holds the rules of the tree as tests. It has no code of its own to run.
//
//	layers_test.go, rules_test.go   which package may import which, and why not
//	datapath_test.go                what the data path may not do
//	style_test.go                   how long files and functions may be, and the like
//	documents_test.go               links, headings and line length of the documents
//	troubleshooting_test.go         every error text is explained in docs/TROUBLESHOOTING.md
//	flows_test.go                   the documents name files and functions that exist
//
// A new package needs a level in layers_test.go. The reason in a rule is a sentence that
// tells what to do instead.
package lint
