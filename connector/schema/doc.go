// Package schema says in JSON Schema (2020-12) what the connector writes: events with both shapes of data,
// checkpoints and rejects. It is made from the tables by which they are written.
//
// A schema has a version in its $id. What validates against it does so forever: later ones of the same version may know
// more members, and refuse nothing that this one takes.
package schema
