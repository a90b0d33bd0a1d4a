# have NAME KIND PACKAGE…: sets NAME to the place of the packages (see packages.sh). If they are not available, it sets NAME
# to nothing and prints why. To be sourced in this folder, with $folder set.
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
