package stats

import (
	"cmp"
	"slices"
	"strconv"
	"unicode/utf8"
)

// service is nutcracker's name in the document. Collectors look for this value,
// so it stays.
const service = "nutcracker"

// AppendJSON appends nutcracker's statistics document to dst and returns the
// extended slice: one line with its newline, with the same keys, nesting, order
// and white space as nutcracker's.
//
// nutcracker sorts pools, and the servers of each pool, by the length of the
// name and then by its bytes, whatever their order in the configuration; so does
// the document. Names are escaped where JSON asks for it (nutcracker's document
// is broken by a quote in a name).
func (s *Snapshot) AppendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	dst = appendString(dst, "service", service)
	dst = appendString(dst, "source", s.Source)
	dst = appendString(dst, "version", s.Version)
	dst = appendNum(dst, "uptime", s.Uptime)
	dst = appendNum(dst, "timestamp", s.Timestamp)
	dst = appendNum(dst, "total_connections", s.TotalConnections)
	dst = appendNum(dst, "curr_connections", s.CurrConnections)

	pools := make([]*PoolSnapshot, len(s.Pools))
	for i := range s.Pools {
		pools[i] = &s.Pools[i]
	}
	slices.SortStableFunc(pools, func(a, b *PoolSnapshot) int { return compareNames(a.Name, b.Name) })
	for i, p := range pools {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = p.appendJSON(dst)
	}
	if len(pools) == 0 {
		dst = dst[:len(dst)-len(separator)]
	}
	return append(dst, '}', '\n')
}

// separator stands between values; between objects there is only a comma.
const separator = ", "

func (p *PoolSnapshot) appendJSON(dst []byte) []byte {
	dst = appendName(dst, p.Name)
	for f, field := range PoolFields[:NutcrackerPoolFields] {
		dst = appendNum(dst, field.Name, p.Values[f])
	}
	servers := make([]*ServerSnapshot, len(p.Servers))
	for i := range p.Servers {
		servers[i] = &p.Servers[i]
	}
	slices.SortStableFunc(servers, func(a, b *ServerSnapshot) int { return compareNames(a.Name, b.Name) })
	for i, srv := range servers {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendName(dst, srv.Name)
		for f, field := range ServerFields[:NutcrackerServerFields] {
			dst = appendNum(dst, field.Name, srv.Values[f])
		}
		dst = append(dst[:len(dst)-len(separator)], '}')
	}
	if len(servers) == 0 {
		dst = dst[:len(dst)-len(separator)]
	}
	return append(dst, '}')
}

// compareNames is nutcracker's order of names: shorter first, then by bytes.
func compareNames(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// appendName opens an object.
func appendName(dst []byte, name string) []byte {
	return append(appendQuoted(dst, name), ": {"...)
}

func appendString(dst []byte, key, value string) []byte {
	dst = append(appendQuoted(dst, key), ':')
	return append(appendQuoted(dst, value), separator...)
}

func appendNum(dst []byte, key string, value int64) []byte {
	dst = append(appendQuoted(dst, key), ':')
	return append(strconv.AppendInt(dst, value, 10), separator...)
}

// appendQuoted writes s as a JSON string and escapes no more than it must:
// encoding/json's escapes for HTML would be a difference.
func appendQuoted(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r) // U+FFFD for a byte that is no UTF-8
			i += n
			continue
		}
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
		i++
	}
	return append(dst, '"')
}
