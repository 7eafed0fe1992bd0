package config

import (
	"errors"
	"fmt"
	"strings"

	"nuthatch/internal/inet"
	"nuthatch/internal/invariant"
)

// A NetworkList is addresses and networks as a file writes them. It was checked when it was
// read.
type NetworkList string

// NoNetworks is the list of a second listener for which the pool's list does not hold.
const NoNetworks NetworkList = "none"

// or is the list or, if it was not given, another one.
func (l NetworkList) or(other NetworkList) NetworkList {
	switch l {
	case "":
		return other
	case NoNetworks:
		return ""
	}
	return l
}

// maxNetworks is how many entries a list may have.
const maxNetworks = 4096

// Networks are those of the list.
func (l NetworkList) Networks() inet.Networks {
	n, err := inet.ParseNetworks(string(l), true)
	invariant.Check(err == nil, "config: a list of networks that was never checked")
	return n
}

var (
	kindNetworks = kind{form: "addresses and networks", text: true, many: true, parse: parseNetworks, schema: manyOf(networkPattern)}
	kindPeers    = kind{form: "addresses and networks, `unix`", text: true, many: true, parse: parsePeers, schema: manyOf(networkPattern + `|unix`)}
	// The lists of a second listener.
	kindOtherNetworks = kind{form: "addresses and networks, or `none`", text: true, many: true, parse: orNone(parseNetworks), schema: manyOf(networkPattern + `|none`)}
	kindOtherPeers    = kind{form: "addresses and networks, `unix`, or `none`", text: true, many: true, parse: orNone(parsePeers), schema: manyOf(networkPattern + `|unix|none`)}
)

// networkPattern matches an address or a network, roughly.
const networkPattern = `([0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*)(/[0-9]{1,3})?`

// manyOf is the schema of a text of several of a form, or of a list of such texts.
func manyOf(pattern string) func(limits) object {
	several := "[, ]*(" + pattern + ")([, ]+(" + pattern + "))*[, ]*"
	return func(limits) object {
		return object{
			{"type", []string{"string", "array"}},
			{"pattern", whole(several)},
			{"items", object{{"type", "string"}, {"pattern", whole(several)}}},
			{"minItems", 1},
			{"maxItems", maxNetworks},
		}
	}
}

// orNone reads a list that may be "none".
func orNone(parse func(limits, string) (value, error)) func(limits, string) (value, error) {
	return func(l limits, text string) (value, error) {
		if text == string(NoNetworks) {
			return value{text: text}, nil
		}
		return parse(l, text)
	}
}

func parseNetworks(_ limits, text string) (value, error) { return parseNetworkList(text, false) }

func parsePeers(_ limits, text string) (value, error) { return parseNetworkList(text, true) }

func parseNetworkList(text string, sockets bool) (value, error) {
	words := splitNames(text)
	expected := "expected addresses or networks, such as 10.0.0.0/8 or 2001:db8::/32, "
	switch {
	case len(words) == 0:
		return value{}, errors.New(expected + "found " + quote(text))
	case len(words) > maxNetworks:
		return value{}, fmt.Errorf("expected at most %d addresses or networks, found %d", maxNetworks, len(words))
	}
	for _, word := range words {
		if _, err := inet.ParseNetworks(word, sockets); err != nil {
			return value{}, errors.New(expected + "found " + quote(word) + ", which " + err.Error())
		}
	}
	return value{text: strings.Join(words, ", ")}, nil
}
