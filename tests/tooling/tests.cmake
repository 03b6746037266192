# What holds of the tree and the build itself, not of one room.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
set(tooling ${CMAKE_SOURCE_DIR}/tests/tooling)
add_test(NAME tooling.includes COMMAND ${Python3_EXECUTABLE} ${tooling}/includes.py ${CMAKE_BINARY_DIR})
add_test(NAME tooling.symbols COMMAND ${Python3_EXECUTABLE} ${tooling}/symbols.py ${CMAKE_BINARY_DIR})
add_test(NAME tooling.links COMMAND ${tooling}/links.sh ${CMAKE_BINARY_DIR})
add_test(NAME tooling.tree COMMAND ${tooling}/tree.sh)
add_test(NAME tooling.setup COMMAND ${tooling}/setup.sh ${LIBTORCH})
add_test(NAME tooling.docs COMMAND ${CMAKE_SOURCE_DIR}/.ci/docs --check --build ${CMAKE_BINARY_DIR})
