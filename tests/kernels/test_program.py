from ricorso.cells import CATALOGUE
from ricorso.kernels.program import backward_program, forward_program


def test_programs_name_what_they_need_and_give():
    forward = forward_program(CATALOGUE["gru"])
    assert set(forward.inputs) == {"r", "z", "x_n", "u_n", "h"}
    assert [name for name, _ in forward.outputs] == ["h"]
    backward = backward_program(CATALOGUE["lstm"])
    assert {name for name, _ in backward.outputs} == {"d_i", "d_f", "d_g", "d_o", "d_h", "d_c"}


def test_arguments_come_before_their_use():
    for cell in CATALOGUE.values():
        for program in (forward_program(cell), backward_program(cell)):
            for number, instruction in enumerate(program.instructions):
                assert all(argument < number for argument in instruction.arguments)


def test_backward_of_the_lstm_computes_each_function_once():
    names = [instruction.operation for instruction in backward_program(CATALOGUE["lstm"]).instructions]
    assert names.count("sigmoid") == 3
    assert names.count("tanh") == 2
