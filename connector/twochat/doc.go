// package twochat reads message lists from the HTTP API of 2Chat.
//
// A Client makes one bounded attempt per call and tells failures apart by the reaction that they ask for
// (connector.PageError). It believes a page only where it is valid as a whole; an item that it cannot use becomes a
// message with its Fault set, and the page goes on. Items are handed on byte for byte, except for what the privacy
// settings take away.
//
// Nobody who wrote this could call the live API. Both documented and observed forms of its answers are read; Learn
// finds out which of them an account gets.
package twochat
