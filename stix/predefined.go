package stix

// This file has the predefined extensions of cyber-observable objects
// (STIX 2.1 §3.10), by the chapter of the object that they extend.

// archiveExt is the table of STIX 2.1 §6.7.2.
func archiveExt() table {
	return table{clause: "STIX 2.1 §6.7.2", rows: []row{
		required("contains_refs", list(ref("file", "directory")), holdsAFile),
	}}
}

// ntfsExt is the table of STIX 2.1 §6.7.3.
func ntfsExt() table {
	const clause = "STIX 2.1 §6.7.3"
	rows := []row{
		optional("sid", text),
		optional("alternate_data_streams", list(structure(table{clause: clause, rows: []row{
			required("name", text),
			optional("hashes", hashes),
			optional("size", notNegative(clause)),
		}}))),
	}
	return table{clause: clause, rows: rows, rules: []rule{anyRow(clause, rows)}}
}

// pdfExt is the table of STIX 2.1 §6.7.4.
func pdfExt() table {
	const clause = "STIX 2.1 §6.7.4"
	rows := []row{
		optional("version", text),
		optional("is_optimized", boolean),
		optional("document_info_dict", dictionary(text), shouldHaveKeys(clause, isDocumentInfo)),
		optional("pdfid0", text),
		optional("pdfid1", text),
	}
	return table{clause: clause, rows: rows, rules: []rule{anyRow(clause, rows)}}
}

// isDocumentInfo reports whether a PDF document information dictionary has
// such an entry (ISO 32000-1 §14.3.3).
func isDocumentInfo(key []byte) bool {
	switch string(key) {
	case "Title", "Author", "Subject", "Keywords", "Creator", "Producer", "CreationDate", "ModDate", "Trapped":
		return true
	}
	return false
}

// rasterImageExt is the table of STIX 2.1 §6.7.5.
func rasterImageExt() table {
	const clause = "STIX 2.1 §6.7.5"
	rows := []row{
		optional("image_height", integer),
		optional("image_width", integer),
		optional("bits_per_pixel", integer),
		optional("exif_tags", dictionary(integerOrText), shouldHaveKeys(clause, isEXIFTag)),
	}
	return table{clause: clause, rows: rows, rules: []rule{anyRow(clause, rows)}}
}

// isEXIFTag reports whether a key is written as the EXIF specification writes
// its tags: words of letters and digits, the first letter a capital.
func isEXIFTag(key []byte) bool {
	if len(key) == 0 || key[0] < 'A' || key[0] > 'Z' {
		return false
	}
	for _, c := range key {
		if c == '_' || c == '-' {
			return false
		}
	}
	return true
}

// holdsAFile demands that an archive has a file in it. Of objects of types that
// the standard does not define nobody knows.
func holdsAFile(c *checker, _, v Value) {
	if v.Kind() != Array || v.isEmpty() {
		return
	}
	for _, e := range v.Elements() {
		kind := string(typeOf(e.inside()))
		if c.container != nil {
			kind = c.container.kinds[e.Text()]
		}
		if kind != "directory" {
			return
		}
	}
	c.fail(v, "STIX 2.1 §6.7.2", "at least one file was expected in an archive")
}

// toTheSecond demands a time without a fraction of a second. One that is zero,
// as some writers always add it, is warned of.
func toTheSecond(c *checker, _, v Value) {
	const clause, message = "STIX 2.1 §6.7.6", "a time precise to the second was expected, without a fraction"
	s := v.inside()
	switch {
	case !isTime(s) || len(s) == len("2006-01-02T15:04:05Z"):
	case len(withoutZeros(s)) > len("2006-01-02T15:04:05"):
		c.fail(v, clause, message)
	default:
		c.warn(v, clause, message)
	}
}

// windowsPEBinaryExt is the table of STIX 2.1 §6.7.6.
func windowsPEBinaryExt() table {
	const clause = "STIX 2.1 §6.7.6"
	rows := []row{
		optional("imphash", text),
		optional("machine_hex", hexadecimal),
		optional("number_of_sections", notNegative(clause)),
		optional("time_date_stamp", timestamp, toTheSecond),
		optional("pointer_to_symbol_table_hex", hexadecimal),
		optional("number_of_symbols", notNegative(clause)),
		optional("size_of_optional_header", notNegative(clause)),
		optional("characteristics_hex", hexadecimal),
		optional("file_header_hashes", hashes),
		optional("optional_header", structure(windowsPEOptionalHeader())),
		optional("sections", list(structure(table{clause: clause, rows: []row{
			required("name", text),
			optional("size", notNegative(clause)),
			optional("entropy", float),
			optional("hashes", hashes),
		}}))),
	}
	return table{
		clause: clause,
		rows:   append([]row{required("pe_type", windowsPebinaryType())}, rows...),
		rules:  []rule{anyRow(clause, rows)},
	}
}

func windowsPEOptionalHeader() table {
	const clause = "STIX 2.1 §6.7.6"
	rows := []row{
		optional("magic_hex", hexadecimal),
		optional("major_linker_version", integer),
		optional("minor_linker_version", integer),
		optional("size_of_code", notNegative(clause)),
		optional("size_of_initialized_data", notNegative(clause)),
		optional("size_of_uninitialized_data", notNegative(clause)),
		optional("address_of_entry_point", integer),
		optional("base_of_code", integer),
		optional("base_of_data", integer),
		optional("image_base", integer),
		optional("section_alignment", integer),
		optional("file_alignment", integer),
		optional("major_os_version", integer),
		optional("minor_os_version", integer),
		optional("major_image_version", integer),
		optional("minor_image_version", integer),
		optional("major_subsystem_version", integer),
		optional("minor_subsystem_version", integer),
		optional("win32_version_value_hex", hexadecimal),
		optional("size_of_image", notNegative(clause)),
		optional("size_of_headers", notNegative(clause)),
		optional("checksum_hex", hexadecimal),
		optional("subsystem_hex", hexadecimal),
		optional("dll_characteristics_hex", hexadecimal),
		optional("size_of_stack_reserve", notNegative(clause)),
		optional("size_of_stack_commit", notNegative(clause)),
		optional("size_of_heap_reserve", notNegative(clause)),
		optional("size_of_heap_commit", notNegative(clause)),
		optional("loader_flags_hex", hexadecimal),
		optional("number_of_rva_and_sizes", integer),
		optional("hashes", hashes),
	}
	return table{clause: clause, rows: rows, rules: []rule{anyRow(clause, rows)}}
}

// httpRequestExt is the table of STIX 2.1 §6.12.2.
func httpRequestExt() table {
	const clause = "STIX 2.1 §6.12.2"
	return table{clause: clause, rows: []row{
		required("request_method", text),
		required("request_value", text),
		optional("request_version", text),
		optional("request_header", dictionary(headerField(clause)), shouldHaveKeys(clause, isHTTPField)),
		optional("message_body_length", integer),
		optional("message_body_data_ref", ref("artifact")),
	}}
}

// icmpExt is the table of STIX 2.1 §6.12.3.
func icmpExt() table {
	return table{clause: "STIX 2.1 §6.12.3", rows: []row{
		required("icmp_type_hex", hexadecimal),
		required("icmp_code_hex", hexadecimal),
	}}
}

// socketExt is the table of STIX 2.1 §6.12.4.
func socketExt() table {
	const clause = "STIX 2.1 §6.12.4"
	return table{clause: clause, rows: []row{
		required("address_family", networkSocketAddressFamily()),
		optional("is_blocking", boolean),
		optional("is_listening", boolean),
		optional("options", dictionary(integer), shouldHaveKeys(clause, isSocketOption)),
		optional("socket_type", networkSocketType()),
		optional("socket_descriptor", notNegative(clause)),
		optional("socket_handle", integer),
	}}
}

// tcpExt is the table of STIX 2.1 §6.12.5.
func tcpExt() table {
	const clause = "STIX 2.1 §6.12.5"
	rows := []row{
		optional("src_flags_hex", hexadecimal),
		optional("dst_flags_hex", hexadecimal),
	}
	return table{clause: clause, rows: rows, rules: []rule{anyRow(clause, rows)}}
}

// windowsProcessExt is the table of STIX 2.1 §6.13.2.
func windowsProcessExt() table {
	const clause = "STIX 2.1 §6.13.2"
	rows := []row{
		optional("aslr_enabled", boolean),
		optional("dep_enabled", boolean),
		optional("priority", text, shouldEndInClass),
		optional("owner_sid", text),
		optional("window_title", text),
		optional("windows_title", text), // the table's spelling; examples and schemas have the one above
		optional("startup_info", dictionary(anything)),
		optional("integrity_level", windowsIntegrityLevel()),
	}
	return table{clause: clause, rows: rows, rules: []rule{anyRow(clause, rows)}}
}

// shouldEndInClass warns of priorities that are not written as Windows writes
// them.
func shouldEndInClass(c *checker, _, v Value) {
	const suffix = "_CLASS"
	if s := v.inside(); len(s) < len(suffix) || string(s[len(s)-len(suffix):]) != suffix {
		c.warn(v, "STIX 2.1 §6.13.2", "a priority class should end in _CLASS")
	}
}

// windowsServiceExt is the table of STIX 2.1 §6.13.3.
func windowsServiceExt() table {
	const clause = "STIX 2.1 §6.13.3"
	rows := []row{
		optional("service_name", text),
		optional("descriptions", list(text)),
		optional("display_name", text),
		optional("group_name", text),
		optional("start_type", windowsServiceStartType()),
		optional("service_dll_refs", list(ref("file"))),
		optional("service_type", windowsServiceType()),
		optional("service_status", windowsServiceStatus()),
	}
	return table{clause: clause, rows: rows, rules: []rule{anyRow(clause, rows)}}
}

// unixAccountExt is the table of STIX 2.1 §6.16.2.
func unixAccountExt() table {
	const clause = "STIX 2.1 §6.16.2"
	rows := []row{
		optional("gid", integer),
		optional("groups", list(text)),
		optional("home_dir", text),
		optional("shell", text),
	}
	return table{clause: clause, rows: rows, rules: []rule{anyRow(clause, rows)}}
}

// shouldHaveKeys warns of keys that are not those of a registry.
func shouldHaveKeys(clause string, known func(key []byte) bool) rule {
	return func(c *checker, _, v Value) {
		if c.options.ErrorsOnly || v.Kind() != Object {
			return
		}
		for i := v.i + 1; i < v.node().next; i = v.d.nodes[i].next {
			if !known(v.d.name(i)) {
				c.warn(Value{v.d, i}, clause, "the key should be the name of a known entry, with its case preserved")
			}
		}
	}
}
