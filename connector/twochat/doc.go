// Package twochat reads message lists from the HTTP API of 2Chat.
//
// A Client makes one attempt per call, with a time limit, and classifies failures by the reaction that they call for
// (connector.PageError). It accepts a page only if the page is valid as a whole; an item that it cannot use becomes a
// message with its Fault set. Items are passed on byte for byte, except for what the privacy settings remove.
//
// The authors could not call the live API. The client accepts both documented and observed forms of its answers; Learn
// finds out which of them an account gets.
package twochat
