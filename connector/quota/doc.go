// Package quota limits how often an API key is used: it keeps the rate limit that its streams share, and spreads the
// account's credits over the month.
package quota
