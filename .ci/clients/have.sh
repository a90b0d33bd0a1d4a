# have NAME KIND PACKAGE…: sets NAME to where packages are (see packages.sh), or to nothing and says why they cannot be
# had. To be sourced in this folder, with $folder set.
have() {
	local name=$1 found
	shift
	if found=$(./packages.sh "$@" 2>"$folder/packages"); then
		printf -v "$name" %s "$found"
	else
		echo "SKIPPED: ${*:2} cannot be had: $(tail -1 "$folder/packages")"
		printf -v "$name" ''
	fi
}
