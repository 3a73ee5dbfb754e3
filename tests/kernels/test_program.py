from ricorso.cells import CATALOGUE
from ricorso.equations import Cell, gates, sigmoid, softplus, states, tanh
from ricorso.kernels.program import backward_program, forward_program, saved_symbols


def test_programs_name_what_they_need_and_give():
    forward = forward_program(CATALOGUE["gru"])
    assert set(forward.inputs) == {"x_r", "x_z", "x_n", "bias_n", "h"}
    assert [name for name, _ in forward.outputs] == ["new_h", "saved_r", "saved_z", "saved_x_n", "saved_u_n"]
    backward = backward_program(CATALOGUE["lstm"])
    assert {name for name, _ in backward.outputs} == {"d_i", "d_f", "d_g", "d_o", "d_h", "d_c"}


def test_arguments_come_before_their_use():
    for cell in CATALOGUE.values():
        for program in (forward_program(cell), backward_program(cell)):
            for number, instruction in enumerate(program.instructions):
                assert all(argument < number for argument in instruction.arguments)


def test_backward_of_the_lstm_has_only_the_tanh_of_the_cell_state_left_to_compute():
    names = [instruction.operation for instruction in backward_program(CATALOGUE["lstm"]).instructions]
    assert names.count("sigmoid") == 0
    assert names.count("tanh") == 1


def test_a_gate_used_twice_is_saved_as_it_is():
    (p, q), (h,) = gates("p q"), states("h")
    cell = Cell("twice", gates=(p, q), states=(h,), update={h: tanh(p) * sigmoid(p) + softplus(q) * h})
    assert saved_symbols(cell) == (p, q)
    assert [symbol.name for symbol in saved_symbols(CATALOGUE["gru"])][2:] == ["x_n", "u_n"]
