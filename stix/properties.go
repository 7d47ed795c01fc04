package stix

// Properties returns the names of the properties that the standard's tables
// give to each object type, in the order of the tables: those of the type
// itself behind those that all objects have. It is for programs that say
// something of every property, such as a policy, and check that they do.
func Properties() map[string][]string {
	all := map[string][]string{}
	for name, t := range standard.types {
		for _, r := range t.rows {
			all[name] = append(all[name], r.name)
		}
	}
	return all
}
