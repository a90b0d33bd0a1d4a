// Package schema describes in JSON Schema (2020-12) what the connector writes: events with both shapes of data,
// checkpoints and rejects. The schemas are made from the tables by which these are written.
//
// A schema has a version in its $id. A document that is valid by one stays valid forever: later schemas of the same
// version may have more members, and refuse nothing that this one accepts.
package schema
