// Package top is "nuthatch top": the pools and servers of a running proxy in a
// terminal, as the page shows them in a browser.
//
//	admin listener ── /info, /pools ──▶ ask ──▶ sample (rates) ──▶ model ──▶ View: lines of text
//	                                                                ▲
//	                                                  keys, size, the terminal's ground
//
// The model is a pure function of what it is told, so that a frame of any size
// can be drawn in a test. Only ask does I/O.
package top
