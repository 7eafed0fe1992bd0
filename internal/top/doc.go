// Package top is "nuthatch top": a running proxy in a terminal, as the page shows
// it in a browser.
//
//	admin listener ── /info, and what ──▶ ask ──▶ sample (rates, entries) ──▶ model ──▶ View: lines of text
//	                  the view wants                                           ▲
//	                                                             keys, size, the terminal's ground
//
// A view is a sheet (a table of entries to sort, to filter and to move in) or the
// plots of the past, which is kept here. Text that clients choose (keys, names,
// commands) goes through ctl.Plain, which escapes what a terminal would interpret.
//
// The model is a pure function of its messages, so that tests can draw frames
// of any size. Only ask does I/O.
package top
