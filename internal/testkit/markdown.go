package testkit

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// TextWidth is the longest line of the documents, in characters. Tables, code,
// headings and generated parts have lines of their own length.
const TextWidth = 100

// markdownItem is the mark of a list's item, with the blanks before and behind it.
var markdownItem = regexp.MustCompile(`^( *)([-*+]|\d+[.)]) +`)

// WrapMarkdown breaks the paragraphs and list items of a document that have a line
// longer than TextWidth. All others stay as they are. Code within a line is never
// broken, so that it can be searched for.
func WrapMarkdown(doc string) string {
	var out strings.Builder
	var paragraph []string
	flush := func() {
		for _, line := range wrapParagraph(paragraph) {
			out.WriteString(line + "\n")
		}
		paragraph = paragraph[:0]
	}
	VisitMarkdown(doc, func(_ int, line string, prose bool) {
		switch {
		case !prose:
			flush()
			out.WriteString(line + "\n")
		case markdownItem.MatchString(line):
			flush()
			paragraph = append(paragraph, line)
		default:
			paragraph = append(paragraph, line)
		}
	})
	flush()
	return out.String()
}

// VisitMarkdown tells of each line of a document, counted from 1, whether it is prose: not
// empty, and no part of a table, code, a heading, a comment or a generated part.
func VisitMarkdown(doc string, visit func(n int, line string, prose bool)) {
	var fenced, generated bool
	n := 0
	for line := range strings.Lines(doc) {
		n++
		line = strings.TrimSuffix(line, "\n")
		text := strings.TrimSpace(line)
		prose := !fenced && !generated && text != ""
		switch {
		case strings.HasPrefix(text, "```"):
			fenced, prose = !fenced, false
		case fenced:
		case strings.HasPrefix(text, "<!-- begin"):
			generated, prose = true, false
		case strings.HasPrefix(text, "<!-- end"):
			generated, prose = false, false
		case strings.HasPrefix(text, "|"), strings.HasPrefix(text, "#"), strings.HasPrefix(text, "<!--"), strings.HasPrefix(text, "!["):
			prose = false
		}
		visit(n, line, prose)
	}
}

// wrapParagraph breaks a paragraph, or an item of a list, if one of its lines is too long.
func wrapParagraph(lines []string) []string {
	long := false
	for _, line := range lines {
		long = long || utf8.RuneCountInString(line) > TextWidth
	}
	if !long {
		return lines
	}
	mark := markdownItem.FindString(lines[0])
	indent := strings.Repeat(" ", len(mark))
	if mark == "" {
		indent = lines[0][:len(lines[0])-len(strings.TrimLeft(lines[0], " "))]
		mark = indent
	}
	lines[0] = lines[0][len(mark):]
	var wrapped []string
	line := ""
	for _, word := range markdownWords(strings.Join(lines, " ")) {
		width := utf8.RuneCountInString(indent) + utf8.RuneCountInString(line) + len(" ") + utf8.RuneCountInString(word)
		if line != "" && width > TextWidth {
			wrapped = append(wrapped, indent+line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	wrapped = append(wrapped, indent+line)
	wrapped[0] = mark + strings.TrimPrefix(wrapped[0], indent)
	return wrapped
}

// beginsBlock reports whether a line that begins with the word would be no prose.
func beginsBlock(word string) bool {
	return markdownItem.MatchString(word+" ") || strings.ContainsAny(word[:1], "#|>")
}

// markdownWords splits a text at blanks that are not within code, and that are not
// before a word that would begin another block.
func markdownWords(text string) []string {
	var words []string
	word := ""
	for part := range strings.FieldsSeq(text) {
		word = strings.TrimPrefix(word+" "+part, " ")
		switch n := len(words) - 1; {
		case strings.Count(word, "`")%2 != 0:
			continue
		case n >= 0 && beginsBlock(word):
			words[n] += " " + word
		default:
			words = append(words, word)
		}
		word = ""
	}
	if word != "" {
		words = append(words, word)
	}
	return words
}
