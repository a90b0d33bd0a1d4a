// Package quota says how often an API key may be used: the rate limit that its streams share, and the account's
// credits, which it spreads over the month.
package quota
